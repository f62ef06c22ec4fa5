use redis::{PushInfo, PushKind, Value, VerbatimFormat};

use super::{Frame, Garbage, LONG_BYTES, Parser, READ_BYTES, STRING_BYTES};

fn feed(parser: &mut Parser, mut bytes: &[u8], frames: &mut Vec<Frame>) -> Result<(), Garbage> {
    while !bytes.is_empty() {
        let space = parser.space();
        let count = space.len().min(bytes.len());
        assert!(count > 0);
        space[..count].copy_from_slice(&bytes[..count]);
        parser.filled(count);
        bytes = &bytes[count..];
        while let Some(frame) = parser.next()? {
            frames.push(frame);
        }
    }
    Ok(())
}

fn parse(pieces: &[&[u8]]) -> Result<Vec<Frame>, Garbage> {
    let (mut parser, mut frames) = (Parser::new(), Vec::new());
    pieces.iter().try_for_each(|piece| feed(&mut parser, piece, &mut frames))?;
    Ok(frames)
}

fn answer(value: Value) -> Frame {
    Frame::Answer(value)
}

fn told(kind: PushKind, data: Vec<Value>) -> Frame {
    Frame::Push(PushInfo { kind, data })
}

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
}

fn refused(line: &str) -> Value {
    redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap()
}

fn every_type() -> Vec<(&'static [u8], Vec<Frame>)> {
    let one = |value| vec![answer(value)];
    let keys = || Value::Array(vec![text("k")]);
    vec![
        (b"+OK\r\n", one(Value::Okay)),
        (b"+a b\r\n", one(Value::SimpleString("a b".to_owned()))),
        (b"-ERR no\r\n", one(refused("ERR no"))),
        (b"-ERR \xff\r\n", one(refused("ERR \u{fffd}"))),
        (b":-12\r\n", one(Value::Int(-12))),
        (b"$0\r\n\r\n", one(text(""))),
        (b"$4\r\n\r\n\r\n\r\n", one(text("\r\n\r\n"))),
        (b"$-1\r\n", one(Value::Nil)),
        (b"*-1\r\n", one(Value::Nil)),
        (b"_\r\n", one(Value::Nil)),
        (b",-1.5\r\n", one(Value::Double(-1.5))),
        (b",inf\r\n", one(Value::Double(f64::INFINITY))),
        (b"#t\r\n", one(Value::Boolean(true))),
        (b"#f\r\n", one(Value::Boolean(false))),
        (b"(123456789012345678901\r\n", one(redis::parse_redis_value(b"(123456789012345678901\r\n").unwrap())),
        (b"!10\r\nERR a\r\nb c\r\n", one(refused("ERR a  b c"))),
        (b"=5\r\ntxt:a\r\n", one(Value::VerbatimString { format: VerbatimFormat::Text, text: "a".to_owned() })),
        (b"*0\r\n", one(Value::Array(vec![]))),
        (
            b"*3\r\n*1\r\n:1\r\n*0\r\n$1\r\na\r\n",
            one(Value::Array(vec![Value::Array(vec![Value::Int(1)]), Value::Array(vec![]), text("a")])),
        ),
        (b"~1\r\n:1\r\n", one(Value::Set(vec![Value::Int(1)]))),
        (b"%1\r\n+a\r\n*1\r\n:1\r\n", {
            one(Value::Map(vec![(Value::SimpleString("a".to_owned()), Value::Array(vec![Value::Int(1)]))]))
        }),
        (b"|1\r\n+a\r\n+b\r\n*1\r\n:7\r\n", one(Value::Array(vec![Value::Int(7)]))),
        (b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", vec![told(PushKind::Invalidate, vec![keys()])]),
        (b">2\r\n+invalidate\r\n_\r\n", vec![told(PushKind::Invalidate, vec![Value::Nil])]),
        (b">1\r\n+x\r\n", vec![told(PushKind::Other("x".to_owned()), vec![])]),
        // Within the answer of a transaction, as servers before 7.0 do.
        (
            b"*2\r\n:1\r\n>2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n:2\r\n",
            vec![told(PushKind::Invalidate, vec![keys()]), answer(Value::Array(vec![Value::Int(1), Value::Int(2)]))],
        ),
    ]
}

#[test]
fn every_type_cut_anywhere() {
    let all: Vec<u8> = every_type().iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
    let frames: Vec<Frame> = every_type().into_iter().flat_map(|(_, frames)| frames).collect();
    for (bytes, frames) in every_type() {
        assert_eq!(parse(&[bytes]).as_ref(), Ok(&frames), "{:?}", bytes.escape_ascii().to_string());
    }
    for at in 0..=all.len() {
        let (before, after) = all.split_at(at);
        assert_eq!(parse(&[before, after]).as_ref(), Ok(&frames), "cut at {at}");
    }
    let bytes: Vec<&[u8]> = all.chunks(1).collect();
    assert_eq!(parse(&bytes), Ok(frames));
}

#[test]
fn long_strings_among_short_ones() {
    for length in [LONG_BYTES, LONG_BYTES + 1, READ_BYTES - 3, READ_BYTES, 300_000, 3 << 20] {
        let long: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let mut all = format!("+OK\r\n*2\r\n:1\r\n${length}\r\n").into_bytes();
        all.extend_from_slice(&long);
        all.extend_from_slice(b"\r\n+OK\r\n");
        let frames = [Value::Okay, Value::Array(vec![Value::Int(1), Value::BulkString(long)]), Value::Okay];
        for piece in [1_000, 7_777, 65_536, all.len()] {
            let pieces: Vec<&[u8]> = all.chunks(piece).collect();
            assert_eq!(parse(&pieces), Ok(frames.clone().map(answer).into()), "{length} in pieces of {piece}");
        }
    }
}

#[test]
fn garbage_is_refused() {
    let deep = b"*1\r\n".repeat(1_000);
    let endless = vec![b'+'; READ_BYTES];
    let too_long = format!("${}\r\n", STRING_BYTES + 1);
    let long = [format!("${}\r\n", LONG_BYTES + 1).as_bytes(), &[b'x'; LONG_BYTES + 3]].concat();
    let all: [&[u8]; 26] = [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"x",
        b"+a\n",
        b"+\xff\r\n",
        b":\r\n",
        b":1x\r\n",
        b":99999999999999999999\r\n",
        b"$-2\r\n",
        b"$x\r\n",
        b"$1\r\nabc",
        b"$99999999999999999999\r\n",
        b"*-2\r\n",
        b"%18446744073709551615\r\n",
        b"|18446744073709551615\r\n",
        b",x\r\n",
        b"#x\r\n",
        b"_x\r\n",
        b"=3\r\nabc\r\n",
        b">0\r\n",
        b">1\r\n:1\r\n",
        b"*?\r\n",
        &deep,
        &endless,
        too_long.as_bytes(),
        &long,
    ];
    for bytes in all {
        assert_eq!(parse(&[bytes]), Err(Garbage), "{:?}", bytes[..bytes.len().min(40)].escape_ascii().to_string());
    }
    // Space is made for what comes, not for what is promised.
    assert_eq!(parse(&[b"*4294967296\r\n:1\r\n"]), Ok(vec![]));
}
