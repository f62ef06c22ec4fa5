//! `kv serve`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::engine::{AT_ONCE, Running};
use super::http::Outgoing;
use super::policy::Granted;
use super::program::{Program, wasi};
use super::state::State;
use super::{ServeArgs, Which};
use crate::exit::{Ended, Failure, Verdict};
use crate::output::note;
use crate::session::Session;

/// How long to wait after a connection could not be accepted, for files that are used up mostly.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) async fn serve(args: ServeArgs, session: &mut Session) -> Ended {
    let granted = Granted::open(&args.which, session.url()).await?;
    let ended = serve_on(args, &granted, session).await;
    granted.close().await?;
    ended
}

/// What every request needs.
struct Server {
    program: Program,
    pre: ProxyPre<State>,
    which: Which,
    outgoing: Outgoing,
    timeout: Duration,
    places: Arc<Semaphore>,
}

async fn serve_on(args: ServeArgs, granted: &Granted, session: &mut Session) -> Ended {
    let program = Program::load(Running::pooling()?, &args.which, granted)?;
    let pre = ProxyPre::new(program.pre.clone()).map_err(|cause| {
        let newer =
            program.guest.exports().iter().find(|function| function.interface.starts_with("wasi:http/handler@"));
        let text = match newer {
            Some(function) => {
                format!(
                    "it exports {}, and this host serves wasi:http/incoming-handler of 0.2 only",
                    function.interface
                )
            }
            None if program.exports("wasi:http/incoming-handler@0.2.") => {
                format!("its wasi:http/incoming-handler is not as this host calls it: {}", cause.root_cause())
            }
            None => {
                "it does not export wasi:http/incoming-handler of 0.2, by which it would answer requests".to_owned()
            }
        };
        Failure::data(text).within(&program.shown)
    })?;
    // Known before the first request, not at it.
    wasi(&args.which)?;
    let failed = |cause: &std::io::Error| Failure::io(format!("listening on {}", args.addr), cause);
    let listener = TcpListener::bind(&args.addr).await.map_err(|cause| failed(&cause))?;
    let address = listener.local_addr().map_err(|cause| failed(&cause))?;
    session.out.line(format!("listening on http://{address}"))?;
    session.out.flush()?;
    let server = Arc::new(Server {
        program,
        pre,
        outgoing: Outgoing::to(&args.allow_http),
        which: args.which,
        timeout: args.timeout,
        places: Arc::new(Semaphore::new(AT_ONCE as usize)),
    });
    let graceful = GracefulShutdown::new();
    let stopped = stop_signal();
    tokio::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // A request is mostly one small packet.
        let _ = stream.set_nodelay(true);
        let server = Arc::clone(&server);
        let service = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move { Ok::<_, std::convert::Infallible>(server.answer(request).await) }
        });
        let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        // A client that goes away in the middle is no news.
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    note("stopping: no new connections; waiting for requests that run");
    if tokio::time::timeout(args.timeout, graceful.shutdown()).await.is_err() {
        note("some requests did not end in time");
    }
    Ok(Verdict::Yes)
}

impl Server {
    /// Runs the program for one request, in an instance of its own.
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<HyperOutgoingBody> {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            return failure(StatusCode::SERVICE_UNAVAILABLE);
        };
        let (sender, receiver) = oneshot::channel();
        let server = Arc::clone(self);
        let running = tokio::spawn(async move {
            let _place = place;
            tokio::time::timeout(server.timeout, server.handle(request, sender)).await
        });
        match receiver.await {
            Ok(Ok(response)) => response,
            Ok(Err(code)) => {
                note(format!("{}: the program answered with an error: {code:?}", self.program.shown));
                failure(StatusCode::BAD_GATEWAY)
            }
            // The sender went with the instance.
            Err(_) => match running.await {
                Ok(Err(_)) => {
                    let time = humantime::format_duration(self.timeout);
                    note(format!(
                        "{}: a request was not answered within {time}, and its instance was ended",
                        self.program.shown
                    ));
                    failure(StatusCode::GATEWAY_TIMEOUT)
                }
                Ok(Ok(Err(cause))) => {
                    note(format!("{}: the program trapped: {}", self.program.shown, cause.root_cause()));
                    failure(StatusCode::INTERNAL_SERVER_ERROR)
                }
                Ok(Ok(Ok(()))) => {
                    note(format!("{}: the program ended without an answer", self.program.shown));
                    failure(StatusCode::INTERNAL_SERVER_ERROR)
                }
                Err(_) => failure(StatusCode::INTERNAL_SERVER_ERROR),
            },
        }
    }

    async fn handle(&self, request: Request<Incoming>, sender: Answer) -> wasmtime::Result<()> {
        let mut store = self.program.store(self.wasi()?, self.outgoing.clone());
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let answer = store.data_mut().http().new_response_outparam(sender)?;
        let proxy = self.pre.instantiate_async(&mut store).await?;
        proxy.wasi_http_incoming_handler().call_handle(&mut store, request, answer).await
    }

    fn wasi(&self) -> wasmtime::Result<WasiCtx> {
        let mut wasi = wasi(&self.which).map_err(|failure| wasmtime::Error::msg(format!("{failure:?}")))?;
        // What the program prints is for who runs the server.
        Ok(wasi.inherit_stderr().stdout(wasmtime_wasi::cli::stderr()).build())
    }
}

type Answer =
    oneshot::Sender<Result<Response<HyperOutgoingBody>, wasmtime_wasi_http::p2::bindings::http::types::ErrorCode>>;

/// An answer of the host's own, which tells a client nothing about the program.
fn failure(status: StatusCode) -> Response<HyperOutgoingBody> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or("error"));
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// Ends when the process is asked to end.
async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
