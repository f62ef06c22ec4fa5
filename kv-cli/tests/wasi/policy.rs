//! `--config`.

use crate::guest;
use crate::run::Kv;

fn call(kv: &Kv, policy: &str, name: &str, call: &str) -> crate::run::Ran {
    kv.run(&["run", &guest("hostile"), "--config", policy, "--as", name, "--invoke", call])
}

#[test]
fn a_program_sees_the_buckets_that_are_its_own() {
    let kv = Kv::new();
    let policy = kv.file(
        "policy.toml",
        "[store.main]\nurl = \"sled:./data\"\n[store.fast]\nurl = \"memory:\"\n\
         [guest.reader]\nbuckets = [\n\
         { name = \"mine\", store = \"main\", to = \"real\", access = [\"read\"] },\n\
         { name = \"tmp-secret\", store = \"main\", access = [] },\n\
         { prefix = \"tmp-\", store = \"fast\" },\n]\n\
         [guest.writer]\nbuckets = [{ name = \"real\", store = \"main\" }]\n",
    );
    assert_eq!(call(&kv, &policy, "writer", "write-big(\"real\", 3)").code(0).text(), "ok\n");
    assert_eq!(call(&kv, &policy, "reader", "read-many(\"mine\", [\"big\", \"none\"])").code(0).text(), "ok(1)\n");
    for (name, call_text, told) in [
        ("reader", "write-big(\"mine\", 3)", "err(\"access-denied\")\n"),
        ("reader", "made-up-cursor(\"mine\", 7)", "err(\"access-denied\")\n"),
        ("reader", "open-bucket(\"tmp-secret\")", "err(\"access-denied\")\n"),
        ("reader", "open-bucket(\"tmp-x\")", "ok\n"),
        ("reader", "open-bucket(\"real\")", "err(\"no-such-store\")\n"),
        ("writer", "open-bucket(\"\")", "err(\"no-such-store\")\n"),
        ("writer", "made-up-cursor(\"real\", 7)", "err(\"invalid cursor\")\n"),
    ] {
        assert_eq!(call(&kv, &policy, name, call_text).code(0).text(), told, "{name} {call_text}");
    }
    // Without a file every bucket is allowed, that without a name too.
    let free = kv.ok(&["run", &guest("hostile"), "--invoke", "open-bucket(\"\")"]);
    assert_eq!(free.text(), "ok\n");
}

/// Most programs take it for granted that they may, and trap.
#[test]
fn a_trap_after_a_refusal_tells_what_was_refused() {
    let kv = Kv::new();
    let policy = kv.file(
        "policy.toml",
        "[store.main]\nurl = \"memory:\"\n\
         [guest.example-2023]\nbuckets = [{ name = \"users\", store = \"main\", access = [\"read\"] }]\n",
    );
    let run = |bucket: &str| {
        let call = format!("api.set(\"{bucket}\", \"k\", b\"v\")");
        kv.run(&["run", &guest("example-2023"), "--config", &policy, "--invoke", &call]).code(3).err
    };
    let absent = run("greetings");
    assert!(absent.contains("before that it was refused the bucket \"greetings\": no rule"), "{absent}");
    let forbidden = run("users");
    assert!(forbidden.contains("the bucket \"users\": the rule for it does not give this right"), "{forbidden}");
}

#[test]
fn a_program_has_the_memory_that_it_is_given() {
    let kv = Kv::new();
    let guests = "[guest.small]\nbuckets = []\nmemory_mb = 16\n[guest.large]\nbuckets = []\n";
    let policy = kv.file("policy.toml", guests);
    let got = |name| call(&kv, &policy, name, "allocate(40)").code(0).text().trim_end().parse::<u32>().unwrap();
    assert_eq!(got("large"), 40);
    assert!((8..16).contains(&got("small")), "{}", got("small"));
    for wrong in ["0", "-1", "\"16\""] {
        let policy = kv.file("policy.toml", format!("[guest.g]\nbuckets = []\nmemory_mb = {wrong}\n"));
        call(&kv, &policy, "g", "spin()").code(3).says("policy.toml: line 3: ");
    }
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_place() {
    let kv = Kv::new();
    let stores = "[store.main]\nurl = \"memory:\"\n";
    for (text, told) in [
        (
            "[guest.g]\nbuckets = [{ name = \"a\", store = \"other\" }]\n",
            "[guest.g], bucket 1: there is no [store.other]",
        ),
        ("[guest.g]\nbuckets = [{ store = \"main\" }]\n", "bucket 1: it needs either name or prefix"),
        (
            "[guest.g]\nbuckets = [{ name = \"a\", prefix = \"a\", store = \"main\" }]\n",
            "it needs either name or prefix",
        ),
        ("[guest.g]\nbuckets = [{ name = \"a\", store = \"main\", access = [\"fly\"] }]\n", "line 4: "),
        ("[guest.g]\nbuckets = []\nrights = 1\n", "unknown field `rights`"),
        ("[guest.other]\nbuckets = []\n", "it has no [guest.g]; it has: other"),
        ("[guest.g\n", "line 3: "),
    ] {
        let policy = kv.file("policy.toml", format!("{stores}{text}"));
        let ran = call(&kv, &policy, "g", "spin()").code(3);
        assert!(ran.err.starts_with(&format!("kv: {policy}: ")) && ran.err.contains(told), "{text}: {ran:?}");
    }
    call(&kv, "nowhere.toml", "g", "spin()").code(3).says("reading nowhere.toml failed");
}

/// A password stays untold also where it does not belong.
#[test]
fn secrets_are_not_told() {
    let kv = Kv::new();
    for text in [
        "[store.s]\nurl = \"redis://u:geheim@\"\n[guest.g]\nbuckets = [{ name = \"a\", store = \"s\" }]\n",
        "[store.s]\nurl = redis://u:geheim@host\n",
        "[store]\ns = \"redis://u:geheim@host\"\n",
        "[guest.g]\nbuckets = \"redis://u:geheim@host\"\n",
        "[guest.g]\nbuckets = [{ name = \"a\", store = \"s\", access = [\"redis://u:geheim@host\"] }]\n",
        "[guest.g]\nbuckets = []\n\"redis://u:geheim@host\" = 1\n",
    ] {
        let policy = kv.file("policy.toml", text);
        let ran = call(&kv, &policy, "g", "spin()").code(3);
        assert!(ran.err.starts_with(&format!("kv: {policy}: ")) && !ran.err.contains("geheim"), "{text}: {ran:?}");
    }
}

/// Another guest's rules are looked at too, and one store may have two names.
#[test]
fn the_whole_file_counts() {
    let kv = Kv::new();
    let stores = "[store.main]\nurl = \"sled:./data\"\n[store.again]\nurl = \"sled:./data\"\n\
                  [guest.g]\nbuckets = [{ name = \"a\", store = \"main\" }, { name = \"b\", store = \"again\", to = \"a\" }]\n";
    let policy = kv.file("policy.toml", stores);
    assert_eq!(call(&kv, &policy, "g", "write-big(\"a\", 3)").code(0).text(), "ok\n");
    assert_eq!(call(&kv, &policy, "g", "read-many(\"b\", [\"big\"])").code(0).text(), "ok(1)\n");
    let policy =
        kv.file("policy.toml", format!("{stores}[guest.other]\nbuckets = [{{ name = \"a\", store = \"mian\" }}]\n"));
    call(&kv, &policy, "g", "spin()").code(3).says("[guest.other], bucket 1: there is no [store.mian]");
}
