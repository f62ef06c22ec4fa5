//! The HTTP requests that a program may make.

use std::sync::Arc;

use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

/// The hosts that the command line allows, and no others.
#[derive(Clone, Default)]
pub(in crate::commands) struct Outgoing(Arc<[String]>);

impl Outgoing {
    pub(in crate::commands) fn none() -> Self {
        Self::default()
    }

    pub(in crate::commands) fn to(hosts: &[String]) -> Self {
        Self(hosts.iter().map(|host| host.to_ascii_lowercase()).collect())
    }

    /// A host that was allowed without a port is allowed with each.
    fn allows(&self, host: &str, port: Option<u16>) -> bool {
        let host = host.to_ascii_lowercase();
        let with_port = port.map(|port| format!("{host}:{port}"));
        self.0.iter().any(|allowed| *allowed == host || Some(allowed) == with_port.as_ref())
    }
}

type Sent = wasmtime::Result<Answer, Error>;
type Answer = (hyper::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: hyper::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let is_secure = request.uri().scheme_str() == Some("https");
        let port = request.uri().port_u16().or(Some(if is_secure { 443 } else { 80 }));
        let is_allowed = request.uri().host().is_some_and(|host| self.allows(host, port));
        Box::new(async move {
            if !is_allowed {
                return Err(Error::HttpRequestDenied);
            }
            let (response, connection) = default_send_request(request, options).await?;
            Ok((response.map(http_body_util::BodyExt::boxed_unsync), Box::new(connection) as _))
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn a_host_is_allowed_with_its_port_or_with_each() {
        let outgoing = Outgoing::to(&["Example.com".to_owned(), "localhost:8080".to_owned()]);
        assert!(outgoing.allows("example.COM", Some(80)) && outgoing.allows("example.com", Some(443)));
        assert!(outgoing.allows("localhost", Some(8080)) && !outgoing.allows("localhost", Some(80)));
        assert!(!outgoing.allows("sub.example.com", Some(80)) && !Outgoing::none().allows("localhost", Some(80)));
    }

    #[tokio::test]
    async fn a_request_goes_to_an_allowed_host_and_to_no_other() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ask = async |mut outgoing: Outgoing| {
            let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
            let uri = format!("http://{address}/");
            let request = hyper::Request::builder().uri(uri).header("host", &address).body(body).unwrap();
            Box::into_pin(outgoing.send_request(request, None, Box::new(async { Ok(()) }))).await
        };
        assert!(matches!(ask(Outgoing::none()).await, Err(Error::HttpRequestDenied)));
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; b"GET / HTTP/1.1".len()]).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            stream
        };
        let (answered, _stream) = tokio::join!(ask(Outgoing::to(std::slice::from_ref(&address))), answer);
        assert_eq!(answered.unwrap().0.status(), 204);
    }
}
