//! `kv serve`.

use crate::run::Kv;
use crate::server::Server;
use crate::{component, is_kept};

const CLIENTS: usize = 64;

/// Each of many that ask at once has a number of its own, and the store has the last one.
pub(crate) fn counted(url: &str) {
    let kv = Kv::at(url);
    let server = Server::start(&kv, &component("http-counter"), &[]);
    let mut numbers = std::thread::scope(|scope| {
        let clients = [(); CLIENTS].map(|()| scope.spawn(|| server.get("/visits")));
        clients.map(|client| {
            let (status, number) = client.join().unwrap();
            assert_eq!(status, "200 OK", "{number}");
            number.parse::<usize>().unwrap()
        })
    });
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=CLIENTS), "{numbers:?}");
    server.stop();
    if is_kept(url) {
        assert_eq!(kv.ok(&["get", "", "visits"]).text(), CLIENTS.to_string());
    }
}
