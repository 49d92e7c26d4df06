//! Certificates for development and tests: a small authority and what it issues.

use super::explain::unix_time;
use crossing_sys::file::Access;
use crossing_sys::{Error, ErrorKind, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const MAKE: &str = "make certificate";

/// An authority that lives in memory: everything that it issues is as good as its key is secret.
pub struct DevAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key, both as PEM text.
#[derive(Clone)]
pub struct DevCertificate {
    /// The certificate.
    pub certificate: String,
    /// The private key; whoever has it is the owner of the certificate.
    pub key: String,
}

fn failed(error: rcgen::Error) -> Error {
    Error::new(ErrorKind::ApiMisuse, MAKE, "for development").detail(error.to_string())
}

impl DevAuthority {
    /// A new authority.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] when the name cannot be one.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, key).map_err(failed)? })
    }

    /// The authority's own certificate, as PEM text: what the other side trusts.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for `names` (host names and IP addresses), for servers and clients alike, valid from an hour
    /// ago for `valid`; zero makes one that has expired.
    ///
    /// # Errors
    /// [`ErrorKind::ApiMisuse`] when a name cannot be one.
    pub fn issue(&self, names: &[&str], valid: Duration) -> Result<DevCertificate> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).map_err(failed)?;
        if let Some(first) = names.first() {
            params.distinguished_name.push(DnType::CommonName, first.as_str());
        }
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let epoch = date_time_ymd(1970, 1, 1);
        let from = unix_time().saturating_sub(3_600);
        let most = Duration::from_secs(100 * 365 * 86_400);
        // A second's length keeps the beginning before the end.
        let until = if valid.is_zero() {
            Duration::from_secs(1)
        } else {
            valid.min(most) + Duration::from_secs(3_600)
        };
        params.not_before = epoch + Duration::from_secs(from);
        params.not_after = epoch + Duration::from_secs(from) + until;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(DevCertificate { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl DevAuthority {
    /// Makes `directory`, open to this user alone, and writes `ca.pem`, and `NAME.pem` and `NAME.key` for each of
    /// `issued`. The authority's own key is kept nowhere: what is issued later comes from another authority.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`], [`ErrorKind::NotFound`], [`ErrorKind::PermissionDenied`], and others of the system.
    pub fn write(&self, directory: &Path, issued: &[(&str, &DevCertificate)]) -> Result<()> {
        if directory.exists() {
            let error =
                Error::new(ErrorKind::AlreadyExists, "make directory", directory.display().to_string());
            return Err(error.fix("name a new directory, or remove this one"));
        }
        crossing_sys::directory::make(directory, Access::Private)?;
        write_new(&directory.join("ca.pem"), &self.certificate())?;
        for (name, made) in issued {
            write_new(&directory.join(format!("{name}.pem")), &made.certificate)?;
            write_new(&directory.join(format!("{name}.key")), &made.key)?;
        }
        Ok(())
    }
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let failed = |cause| Error::os(cause, MAKE, path.display().to_string());
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
