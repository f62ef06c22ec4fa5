//! A web server that counts: `GET /NAME` adds 1 to the counter NAME, `hits` for `/`, and answers with its value. `GET /trap`
//! traps behind the first bytes of its answer, so that a host has to show a broken answer as broken.

wit_bindgen::generate!({
    path: [
        "../../wit/wasi/io-0.2.3.wit",
        "../../wit/wasi/clocks-0.2.3.wit",
        "../../wit/wasi/http-0.2.3.wit",
        "../../wit/keyvalue/0.2.0-draft.wit",
    ],
    inline: "
        package kv:http-counter;
        world http-counter {
          import wasi:keyvalue/store@0.2.0-draft;
          import wasi:keyvalue/atomics@0.2.0-draft;
          export wasi:http/incoming-handler@0.2.3;
        }
    ",
    world: "kv:http-counter/http-counter",
    generate_all,
});

use exports::wasi::http::incoming_handler::{Guest, IncomingRequest, ResponseOutparam};
use wasi::http::types::{Fields, Method, OutgoingBody, OutgoingResponse};
use wasi::keyvalue::{atomics, store};

struct Counter;

impl Guest for Counter {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let name = name(&request);
        let (status, text) = answer(&request, &name);
        let headers = Fields::new();
        headers.set("content-type", &[b"text/plain".to_vec()]).expect("the header is allowed");
        let response = OutgoingResponse::new(headers);
        response.set_status_code(status).expect("the status is a number of three digits");
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("the stream is taken once");
        // The client may have gone; what it asked for is done anyway.
        let _ = stream.blocking_write_and_flush(text.as_bytes());
        assert_ne!(name, "trap", "asked to trap");
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

/// The counter that the request is for.
fn name(request: &IncomingRequest) -> String {
    let path = request.path_with_query().unwrap_or_default();
    let name = path.split('?').next().unwrap_or_default().trim_start_matches('/');
    if name.is_empty() { "hits" } else { name }.to_owned()
}

fn answer(request: &IncomingRequest, name: &str) -> (u16, String) {
    if !matches!(request.method(), Method::Get) {
        return (405, "only GET is understood\n".to_owned());
    }
    match store::open("").and_then(|bucket| atomics::increment(&bucket, name, 1)) {
        Ok(value) => (200, format!("{value}\n")),
        Err(error) => (500, format!("{error:?}\n")),
    }
}

export!(Counter);
