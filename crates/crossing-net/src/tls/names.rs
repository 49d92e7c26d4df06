//! Several identities of a listener: by the name that the client asks for (SNI).

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// Which certificate a client gets.
#[derive(Debug)]
pub(super) struct ByName {
    /// Of who asks for another name, or for none; `None`: nobody's, and they are refused.
    pub(super) other: Option<Arc<CertifiedKey>>,
    pub(super) named: Vec<(String, Arc<CertifiedKey>)>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let wanted = hello.server_name().unwrap_or_default();
        let named = self.named.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, identity)| Arc::clone(identity)).or_else(|| self.other.clone())
    }
}
