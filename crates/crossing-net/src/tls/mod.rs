//! TLS 1.3 by rustls: who is trusted, who one is, and the connection itself.

#[cfg(feature = "dev-cert")]
mod dev;
mod explain;
mod names;
mod stream;
mod verify;

#[cfg(feature = "dev-cert")]
pub use dev::{DevAuthority, DevCertificate};
pub(crate) use stream::{TlsStream, reason};

use crossing_sys::{Error, ErrorKind, Result};
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const CONFIGURE: &str = "use for TLS";

/// Whom a side of TLS trusts and who it is. Reusable, for clients and listeners; only TLS 1.3 is spoken.
///
/// ```no_run
/// use crossing_net::{Listener, Stream, TlsOptions};
/// let mut server = TlsOptions::new();
/// server.identity("server.pem", "server.key").trust_file("ca.pem"); // asks clients for certificates of this authority
/// let listener = Listener::options().tls(&server).bind("tls:0.0.0.0:7000")?;
///
/// let mut client = TlsOptions::new();
/// client.trust_file("ca.pem").identity("client.pem", "client.key");
/// let stream = Stream::options().tls(&client).connect("tls:example.org:7000")?;
/// # Ok::<(), crossing_net::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    trust: Vec<PathBuf>,
    platform: bool,
    identity: Option<(PathBuf, PathBuf)>,
    /// Of a listener, for the names that clients ask for.
    named: Vec<(String, PathBuf, PathBuf)>,
    alpn: Vec<Vec<u8>>,
    server_name: Option<String>,
    /// Made at the first connection and kept, so that later ones can resume the TLS session.
    client: Arc<Mutex<Option<Arc<ClientConfig>>>>,
}

impl TlsOptions {
    /// Nothing set: a client trusts the authorities of the platform; a listener needs an
    /// [`identity`](Self::identity).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn changed(&mut self) -> &mut Self {
        self.client = Arc::default();
        self
    }

    /// Trusts the authorities in a PEM file, besides those of other calls. A client then trusts the platform's no more,
    /// unless asked ([`trust_platform`](Self::trust_platform)). A listener demands of its clients certificates of these
    /// authorities (mutual authentication).
    pub fn trust_file(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.trust.push(path.into());
        self.changed()
    }

    /// Trusts the authorities of the platform as well.
    ///
    /// # Platform-specific behavior
    /// Linux and other Unix: the files that OpenSSL uses (`SSL_CERT_FILE`, `SSL_CERT_DIR` or the distribution's). Windows:
    /// the system's certificate store. macOS: the keychain.
    pub fn trust_platform(&mut self) -> &mut Self {
        self.platform = true;
        self.changed()
    }

    /// Who this side is: a PEM file with its certificate (and those in between, if any), and one with its private key.
    pub fn identity(&mut self, certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> &mut Self {
        self.identity = Some((certificates.into(), key.into()));
        self.changed()
    }

    /// Who a listener is to clients that ask for the server of this name (SNI), as [`identity`](Self::identity), which all others
    /// get; without one they are refused. Called again, for another name as well. The certificate must be for that name.
    pub fn identity_for(
        &mut self,
        name: impl Into<String>,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> &mut Self {
        self.named.push((name.into(), certificates.into(), key.into()));
        self.changed()
    }

    /// Application protocols that this side speaks, best first (ALPN). With none, nothing is agreed.
    pub fn alpn(&mut self, protocols: &[&str]) -> &mut Self {
        self.alpn = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self.changed()
    }

    /// The name that the server must prove to have, also sent to it (SNI); the endpoint's host unless set.
    pub fn server_name(&mut self, name: impl Into<String>) -> &mut Self {
        self.server_name = Some(name.into());
        self.changed()
    }

    pub(crate) fn name<'a>(&'a self, host: &'a str) -> &'a str {
        self.server_name.as_deref().unwrap_or(host)
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for path in &self.trust {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| wrong(path).detail(explain::text(&error)))?;
            }
        }
        if self.platform || self.trust.is_empty() {
            let found = rustls_native_certs::load_native_certs();
            let (taken, _) = roots.add_parsable_certificates(found.certs);
            if taken == 0 {
                let error = Error::new(ErrorKind::NotFound, CONFIGURE, "the platform's certificates");
                let error = error.detail("this system has no authorities that can be read");
                return Err(
                    error.fix("give the authority's file (trust_file, --tls-ca), or install ca-certificates")
                );
            }
        }
        Ok(roots)
    }

    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>> {
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*kept {
            return Ok(Arc::clone(config));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder =
            builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(|error| internal(&error))?;
        let verifier = verify::server_verifier(self.roots()?)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(certificates(chain)?, private_key(key)?)
                .map_err(|error| mismatch(chain, key, &error))?,
        };
        config.alpn_protocols.clone_from(&self.alpn);
        let config = Arc::new(config);
        *kept = Some(Arc::clone(&config));
        Ok(config)
    }

    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>> {
        if self.identity.is_none() && self.named.is_empty() {
            let error = Error::new(ErrorKind::ApiMisuse, CONFIGURE, "a listener without a certificate");
            return Err(
                error.fix("give it an identity: certificate and key (`crossing tls dev-cert` makes some)")
            );
        }
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder =
            builder.with_protocol_versions(&[&rustls::version::TLS13]).map_err(|error| internal(&error))?;
        let builder = if self.trust.is_empty() && !self.platform {
            builder.with_no_client_auth()
        } else {
            let roots = Arc::new(self.roots()?);
            let provider = Arc::new(ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|error| {
                Error::new(ErrorKind::ApiMisuse, CONFIGURE, "the trusted authorities")
                    .detail(error.to_string())
            })?;
            builder.with_client_cert_verifier(verify::client_verifier(verifier))
        };
        let mut config = builder.with_cert_resolver(Arc::new(self.identities()?));
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(Arc::new(config))
    }

    /// Reads the certificates and keys of a listener.
    fn identities(&self) -> Result<names::ByName> {
        let provider = ring::default_provider();
        let read = |chain: &Path, key: &Path| {
            let identity = CertifiedKey::from_der(certificates(chain)?, private_key(key)?, &provider);
            identity.map(Arc::new).map_err(|error| mismatch(chain, key, &error))
        };
        let other = match &self.identity {
            Some((chain, key)) => Some(read(chain, key)?),
            None => None,
        };
        let mut named = Vec::with_capacity(self.named.len());
        for (name, chain, key) in &self.named {
            let identity = read(chain, key)?;
            let unfit = |text: String| wrong(chain).detail(text);
            let expected = ServerName::try_from(name.as_str())
                .map_err(|_| unfit(format!("\"{name}\" is no name of a server")))?;
            let certificate = identity.end_entity_cert().map_err(|error| unfit(explain::text(&error)))?;
            let certificate =
                ParsedCertificate::try_from(certificate).map_err(|error| unfit(explain::text(&error)))?;
            if verify_server_name(&certificate, &expected).is_err() {
                return Err(unfit(format!("the certificate is not for the name \"{name}\""))
                    .fix("give one that is, or another name"));
            }
            named.push((name.clone(), identity));
        }
        Ok(names::ByName { other, named })
    }
}

fn wrong(path: &Path) -> Error {
    Error::new(ErrorKind::Incompatible, CONFIGURE, path.display().to_string())
}

fn internal(error: &rustls::Error) -> Error {
    Error::new(ErrorKind::Unsupported, CONFIGURE, "this build").detail(error.to_string())
}

fn mismatch(chain: &Path, key: &Path, error: &rustls::Error) -> Error {
    let error = wrong(chain).detail(explain::text(error));
    error.fix(format!("give the certificate that belongs to the private key {}", key.display()))
}

/// The error of a PEM file that cannot be used.
fn unreadable(path: &Path, error: rustls::pki_types::pem::Error, what: &'static str) -> Error {
    match error {
        rustls::pki_types::pem::Error::Io(cause) => Error::os(cause, CONFIGURE, path.display().to_string()),
        error => wrong(path).detail(format!("no {what} can be read from it: {error}")).fix("give a PEM file"),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed = |error| unreadable(path, error, "certificate");
    let found = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let found = found.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
    if found.is_empty() {
        return Err(wrong(path).detail("it has no certificate").fix("give a PEM file with one"));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, error, "private key"))
}
