//! `kv serve`.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use kv_wasi::KvView as _;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::args::{ServeArgs, Which};
use super::engine::Running;
use super::exports;
use super::http::Outgoing;
use super::policy::Rules;
use super::program::{Program, build, wasi};
use super::reply::{Broken, Reply};
use super::state::State;
use super::stop::Stop;
use super::tasks::Tasks;
use super::wire::{Wire, gone};
use crate::exit::{Ended, Failure, Verdict};
use crate::output::note;
use crate::session::Session;

/// How long to wait after a connection could not be accepted, for files that are used up mostly.
const PAUSE: Duration = Duration::from_millis(50);

/// How long an instance whose time is over may take to be ended and its client to be told, where the server stops meanwhile.
const ANSWER: Duration = Duration::from_secs(1);

/// Connections for each request that may run: another one may be idle, or still send its request.
const CONNECTIONS: usize = 2;

/// What a program answers requests by.
const HANDLER: &str = "wasi:http/incoming-handler";

pub(super) async fn serve(args: ServeArgs, session: &mut Session) -> Ended {
    let rules = Rules::read(&args.which)?;
    let mut program = Program::load(|with| Running::pooling(&rules.limits(), with), &args.which)?;
    let pre = proxy(&program).map_err(|failure| failure.within(&program.shown))?;
    // Known before the first request, not at it.
    wasi(&args.which)?;
    let listener = listen(&args.addr).await?;
    let granted = program.grant(rules, session.url()).await?;
    let mut stop = match Stop::new() {
        Ok(stop) => stop,
        Err(failure) => return granted.end(Err(failure)).await,
    };
    let at_once = Running::at_once(program.guest.component(), &granted.limits);
    let server = Arc::new(Server {
        program,
        pre,
        outgoing: Outgoing::to(&args.allow_http),
        which: args.which,
        timeout: args.timeout,
        at_once,
        places: Arc::new(Semaphore::new(at_once as usize)),
        instances: Tasks::new(),
    });
    let ended = accept(&server, listener, session, &mut stop).await;
    // What still runs would go on to use the stores.
    server.instances.end().await;
    server.program.close(granted, ended, stop.asked(2)).await
}

/// The program, if it answers requests as this host asks.
fn proxy(program: &Program) -> Result<ProxyPre<State>, Failure> {
    ProxyPre::new(program.pre.clone()).map_err(|cause| {
        let is_handler = |name: &&str| name.starts_with("wasi:http/handler@") || name.starts_with(HANDLER);
        let exports = program.guest.exports().iter().map(|function| function.interface.as_str());
        let handler = exports.filter(is_handler).map(|name| program.guest.name_in_file(name)).next();
        Failure::data(match handler {
            Some(name) if exports::has_wasi(&program.guest, HANDLER) => {
                format!("its {name} is not as this host calls it: {}", cause.root_cause())
            }
            Some(name) => format!("it exports {name}, and this host serves wasi:http/incoming-handler of 0.2 only"),
            None => {
                "it does not export wasi:http/incoming-handler of 0.2, by which it would answer requests".to_owned()
            }
        })
    })
}

async fn listen(addr: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(addr).await.map_err(|cause| match cause.kind() {
        io::ErrorKind::InvalidInput => Failure::usage(format!("--addr {addr} is no HOST:PORT")),
        _ => Failure::io(format!("listening on {addr}"), &cause),
    })
}

/// What every request needs.
struct Server {
    program: Program,
    pre: ProxyPre<State>,
    which: Which,
    outgoing: Outgoing,
    timeout: Duration,
    at_once: u32,
    places: Arc<Semaphore>,
    instances: Tasks,
}

/// Serves until it is asked to stop, and waits for what runs until it is asked again.
async fn accept(server: &Arc<Server>, listener: TcpListener, session: &mut Session, stop: &mut Stop) -> Ended {
    let address = listener.local_addr().map_err(|cause| Failure::io("listening", &cause))?;
    let url = format!("http://{address}");
    if session.out.json {
        session.out.json(&json!({"listening": url}))?;
    } else {
        session.out.line(format!("listening on {url}"))?;
    }
    session.out.flush()?;
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(server.at_once as usize * CONNECTIONS));
    loop {
        let next = async {
            let place = Arc::clone(&connections).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = stop.asked(1) => break,
        };
        let Ok((socket, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let connection = graceful.watch(connect(server, socket));
        tokio::spawn(async move {
            let _place = place;
            // A client that goes away in the middle is no news.
            drop(connection.await);
        });
    }
    drop(listener);
    note("stopping: no new connections; waiting for requests that run; ask again to end them");
    let done = async {
        graceful.shutdown().await;
        // A program may go on behind its answer, and its writes behind the program. The places are never closed, so all of
        // them come free.
        let _ = server.places.acquire_many(server.at_once).await;
    };
    tokio::select! {
        done = tokio::time::timeout(server.timeout.saturating_add(ANSWER), done) => {
            if done.is_err() {
                note("some requests did not end in time");
            }
        }
        () = stop.asked(2) => {}
    }
    Ok(Verdict::Yes)
}

/// Answers a client's requests. For each step the client has the time that a request has: to send a head, and to take what is
/// ready for it.
fn connect(server: &Arc<Server>, socket: TcpStream) -> impl GracefulConnection + use<> {
    // A request is mostly one small packet.
    let _ = socket.set_nodelay(true);
    let socket = Arc::new(socket);
    let wire = Wire::new(Arc::clone(&socket), server.timeout);
    let server = Arc::clone(server);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(server.timeout).half_close(true);
    let service = service_fn(move |request| {
        let (server, socket) = (Arc::clone(&server), Arc::clone(&socket));
        async move {
            tokio::select! {
                answer = server.answer(request) => Ok(answer),
                () = gone(&socket) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            }
        }
    });
    http.serve_connection(TokioIo::new(wire), service)
}

impl Server {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<HyperOutgoingBody> {
        if !has_host(&request) {
            return failure(StatusCode::BAD_REQUEST);
        }
        let place = tokio::time::timeout(self.timeout, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return failure(StatusCode::SERVICE_UNAVAILABLE) };
        let (sender, receiver) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let (server, broken) = (Arc::clone(self), Broken::default());
        let task = self.instances.spawn({
            let broken = broken.clone();
            async move {
                // Not before the instance is gone, and, by its own share of the place, what it writes.
                let place = Arc::new(place);
                let status = server.run(request, sender, &broken, &place).await;
                // Nobody listens where there was an answer.
                let _ = ended.send(status);
            }
        });
        let Some(task) = task else { return failure(StatusCode::SERVICE_UNAVAILABLE) };
        let mut running = Instance(Some(task));
        match receiver.await {
            Ok(Ok(response)) => {
                running.go_on();
                response.map(|body| Reply::new(body, broken).boxed_unsync())
            }
            Ok(Err(code)) => {
                self.note(format!("the program answered with an error: {code:?}"));
                failure(StatusCode::BAD_GATEWAY)
            }
            // The sender went with the instance.
            Err(_) => failure(match end.await {
                Ok(Some(status)) => status,
                Ok(None) => {
                    self.note("the program ended without an answer");
                    StatusCode::INTERNAL_SERVER_ERROR
                }
                // It panicked, or the server ends.
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
            }),
        }
    }

    /// Runs the program for one request, in an instance of its own. If it does not come to its end, that is told here, and the
    /// status is for a client that has no answer yet.
    async fn run(
        &self,
        request: Request<Incoming>,
        sender: Answer,
        broken: &Broken,
        place: &Arc<OwnedSemaphorePermit>,
    ) -> Option<StatusCode> {
        let mut handling = pin!(self.handle(request, sender, broken, place));
        match tokio::time::timeout(self.timeout, &mut handling).await {
            Ok(Ok(())) => None,
            Ok(Err(cause)) if cause.is::<NoMemory>() => {
                self.note("a request was refused, for the memory that its instances may take together is used up");
                Some(StatusCode::SERVICE_UNAVAILABLE)
            }
            Ok(Err(cause)) => {
                self.note(format!("the program trapped: {}", cause.root_cause()));
                Some(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Err(_) => {
                broken.set();
                let time = humantime::format_duration(self.timeout);
                self.note(format!("a request took longer than {time}, and its instance was ended"));
                Some(StatusCode::GATEWAY_TIMEOUT)
            }
        }
    }

    fn note(&self, text: impl AsRef<str>) {
        note(format!("{}: {}", self.program.shown, text.as_ref()));
    }

    async fn handle(
        &self,
        request: Request<Incoming>,
        sender: Answer,
        broken: &Broken,
        place: &Arc<OwnedSemaphorePermit>,
    ) -> wasmtime::Result<()> {
        let mut store = self.program.store(self.wasi()?, self.outgoing.clone());
        store.data_mut().kv().ctx.keep(Arc::clone(place));
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let answer = store.data_mut().http().new_response_outparam(sender)?;
        let proxy = match self.pre.instantiate_async(&mut store).await {
            Err(_) if store.data_mut().kv().ctx.is_short_of_memory() => return Err(NoMemory.into()),
            proxy => proxy?,
        };
        let done = proxy.wasi_http_incoming_handler().call_handle(&mut store, request, answer).await;
        if done.is_err() {
            broken.set();
        }
        done
    }

    fn wasi(&self) -> wasmtime::Result<WasiCtx> {
        let mut wasi = build(&self.which).map_err(wasmtime::Error::msg)?;
        // What the program prints is for who runs the server.
        Ok(wasi.inherit_stderr().stdout(wasmtime_wasi::cli::stderr()).build())
    }
}

/// The task of an instance, which ends with the request that it is for: a client that goes away before it has an answer leaves
/// nothing behind.
struct Instance(Option<AbortHandle>);

impl Instance {
    /// Lets it go on behind its answer, up to its time.
    fn go_on(&mut self) {
        self.0 = None;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(running) = &self.0 {
            running.abort();
        }
    }
}

/// Why an instance did not begin: the others have all the memory.
#[derive(Debug)]
struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no memory left")
    }
}

impl std::error::Error for NoMemory {}

type Answer =
    oneshot::Sender<Result<Response<HyperOutgoingBody>, wasmtime_wasi_http::p2::bindings::http::types::ErrorCode>>;

/// Whether the request says whom it is for, which a program is told.
fn has_host(request: &Request<Incoming>) -> bool {
    request.uri().authority().is_some() || request.headers().get(HOST).is_some_and(|host| host.to_str().is_ok())
}

/// An answer of the host's own, which tells a client nothing about the program.
fn failure(status: StatusCode) -> Response<HyperOutgoingBody> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or("error"));
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
