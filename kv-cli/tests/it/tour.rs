//! `tour`.

use crate::run::{Kv, binary, finish};

#[test]
fn the_tour_is_as_promised_and_leaves_nothing_behind() {
    let kv = Kv::new();
    let temporary = kv.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let ran = finish(binary().arg("tour").current_dir(kv.path(".")).env("TMPDIR", &temporary)).code(0);
    assert!(ran.text().contains("results are as promised"), "{}", ran.text());
    for part in ["get(", "set_many", "increment", "compare_and_swap", "set_with_ttl", "watch(", "store.close()"] {
        assert!(ran.text().contains(part), "{part}");
    }
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!kv.path("kv-data").exists());
}

#[test]
fn the_tour_can_be_repeated_in_a_store_in_use() {
    crate::shared::tour(&Kv::new());
}

#[test]
fn the_tour_works_in_memory() {
    assert_eq!(finish(binary().args(["tour", "--json", "--store", "memory:"])).code(0).json()["as_promised"], true);
}
