//! Servers that speak TLS, and certificates for them.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::Server;
use super::process::Process;

/// An authority of its own, and what it certified: a name, or an address, of a server.
pub(crate) struct Certificate(TempDir);

impl Certificate {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let make = || -> Result<[(&str, String); 3], rcgen::Error> {
            let mut authority = CertificateParams::new([])?;
            authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
            let key = KeyPair::generate()?;
            let server = CertificateParams::new([name.to_owned()])?.signed_by(&key, &authority)?;
            Ok([("ca.pem", authority.pem()), ("server.pem", server.pem()), ("server.key", key.serialize_pem())])
        };
        for (file, text) in make().map_err(io::Error::other)? {
            std::fs::write(folder.path().join(file), text)?;
        }
        Ok(Self(folder))
    }

    /// The authority's own certificate, which clients have to trust.
    pub(crate) fn ca(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }
}

impl Server {
    /// Starts a server whose port speaks nothing but TLS.
    pub(crate) fn start_tls(program: &Path, certificate: &Certificate, options: &[&str]) -> io::Result<Self> {
        let file = |name: &str| certificate.0.path().join(name).display().to_string();
        Process::start(program, |process| {
            let (port, cert, key, ca) =
                (process.port().to_string(), file("server.pem"), file("server.key"), file("ca.pem"));
            let tls = ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no", "--tls-cert-file", &cert];
            let files = ["--tls-key-file", &key, "--tls-ca-cert-file", &ca];
            Ok(tls.iter().chain(&files).chain(options).map(|word| (*word).to_owned()).collect())
        })
        .map(Self)
    }
}
