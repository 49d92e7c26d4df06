//! Checks by rustls and webpki; what they refuse is told with the certificate's names.

use super::explain;
use crossing_sys::{Error, ErrorKind, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, SignatureScheme,
};
use std::fmt;
use std::sync::Arc;

/// Why which certificate was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    text: String,
    /// What rustls said.
    pub(crate) cause: rustls::Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {}

/// The error with the certificate's names in it.
fn named(error: rustls::Error, whose: &str, certificate: &CertificateDer<'_>) -> rustls::Error {
    let names = webpki::EndEntityCert::try_from(certificate).ok().map(|certificate| {
        let names: Vec<_> = certificate.valid_dns_names().take(4).map(str::to_owned).collect();
        names.join(", ")
    });
    let reason = explain::reason(&error);
    let text = match names.filter(|names| !names.is_empty()) {
        Some(names) => format!("the {whose}'s certificate (for {names}) is refused: {reason}"),
        None => format!("the {whose}'s certificate is refused: {reason}"),
    };
    let refused = Refused { text, cause: error };
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refused))))
}

#[derive(Debug)]
struct Server(Arc<WebPkiServerVerifier>);

/// Checks servers against `roots`.
pub(crate) fn server_verifier(roots: RootCertStore) -> Result<Arc<dyn ServerCertVerifier>> {
    let provider = Arc::new(ring::default_provider());
    match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() {
        Ok(verifier) => Ok(Arc::new(Server(verifier))),
        Err(error) => {
            let made = Error::new(ErrorKind::ApiMisuse, super::CONFIGURE, "the trusted authorities");
            Err(made.detail(error.to_string()))
        }
    }
}

impl ServerCertVerifier for Server {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let result = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        result.map_err(|error| named(error, "server", end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[derive(Debug)]
struct Client(Arc<dyn ClientCertVerifier>);

/// Checks clients as `inner` does.
pub(crate) fn client_verifier(inner: Arc<dyn ClientCertVerifier>) -> Arc<dyn ClientCertVerifier> {
    Arc::new(Client(inner))
}

impl ClientCertVerifier for Client {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        let result = self.0.verify_client_cert(end_entity, intermediates, now);
        result.map_err(|error| named(error, "client", end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
