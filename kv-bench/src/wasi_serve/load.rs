//! Load on a server: connections that each ask again as soon as they have an answer.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use kv_bench::{Latency, Result};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How long the last answers may take behind the end of the load. `kv serve` gives a request as long by itself.
const LATE: Duration = Duration::from_secs(40);

/// What came of it.
pub(super) struct Load {
    pub(super) latency: Latency,
    pub(super) errors: u64,
    /// What the first of the errors was.
    pub(super) error: Option<String>,
    /// From the first request to the last answer.
    pub(super) took: Duration,
}

impl Load {
    pub(super) fn none() -> Result<Self> {
        Ok(Self { latency: Latency::new()?, errors: 0, error: None, took: Duration::ZERO })
    }

    /// Adds what another connection had meanwhile, or the same ones another time.
    pub(super) fn add(&mut self, other: Self) -> Result {
        self.latency.add(&other.latency)?;
        self.errors += other.errors;
        self.error = self.error.take().or(other.error);
        self.took += other.took;
        Ok(())
    }

    /// Requests that were answered as they should be.
    pub(super) fn requests(&self) -> u64 {
        self.latency.count()
    }

    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        self.requests() as f64 / self.took.as_secs_f64()
    }

    /// Nanoseconds a request, of all connections together: the inverse of the rate.
    pub(super) fn nanos_a_request(&self) -> Result<f64> {
        if self.requests() == 0 {
            let why = self.error.as_deref().unwrap_or("the time was too short");
            return Err(format!("no request was answered: {why}").into());
        }
        Ok(self.took.as_nanos() as f64 / self.requests() as f64)
    }
}

/// The runtime of the load: one thread, so that it takes no more than a core from the server that it measures.
pub(super) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Asks on so many connections, which stay open, for so long.
pub(super) async fn drive(address: &str, connections: usize, length: Duration) -> Result<Load> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::connect(address).await?);
    }
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for client in clients {
        asking.spawn(client.ask_until(begun + length));
    }
    let all = async {
        let mut load = Load::none()?;
        while let Some(one) = asking.join_next().await {
            load.add(one??)?;
        }
        Ok(load)
    };
    let load = tokio::time::timeout(length + LATE, all).await;
    let load: Result<Load> = load.map_err(|_elapsed| format!("a request had no answer in {} s", LATE.as_secs()))?;
    Ok(Load { took: begun.elapsed(), ..load? })
}

/// One connection.
struct Client {
    address: String,
    sender: SendRequest<Empty<Bytes>>,
}

impl Client {
    async fn connect(address: &str) -> Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        // What ends it, the request that waits for an answer is told too.
        tokio::spawn(connection);
        Ok(Self { address: address.to_owned(), sender })
    }

    async fn ask_until(mut self, end: Instant) -> Result<Load> {
        let mut load = Load::none()?;
        let mut begun = Instant::now();
        while begun < end {
            let answer = self.ask().await;
            let answered = Instant::now();
            match answer {
                Ok(()) => load.latency.record(answered - begun),
                Err(error) => {
                    load.errors += 1;
                    load.error.get_or_insert(error.to_string());
                    // It may have gone with the error. A server that takes no new one has ended, and the load ends too.
                    if self.sender.ready().await.is_err() {
                        self = Self::connect(&self.address).await?;
                    }
                }
            }
            begun = answered;
        }
        Ok(load)
    }

    /// One request, whose answer has to be a count.
    async fn ask(&mut self) -> Result {
        self.sender.ready().await?;
        let request = Request::get("/hits").header(HOST, self.address.as_str()).body(Empty::new())?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status.as_u16() != 200 || !is_count(&body) {
            return Err(format!("{status}, {:?}", String::from_utf8_lossy(&body)).into());
        }
        Ok(())
    }
}

fn is_count(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| text.trim_end().parse::<u64>().is_ok_and(|count| count > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_count_is_an_answer() {
        assert!(is_count(b"17\n"));
        for other in [&b""[..], b"0\n", b"Internal Server Error\n", b"\xff"] {
            assert!(!is_count(other), "{other:?}");
        }
    }

    #[test]
    fn a_server_that_ends_ends_the_load() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // It takes one connection and is gone.
        let server = std::thread::spawn(move || drop(listener.accept()));
        let load = runtime().unwrap().block_on(drive(&address, 1, Duration::from_secs(60)));
        assert!(load.is_err());
        server.join().unwrap();
    }
}
