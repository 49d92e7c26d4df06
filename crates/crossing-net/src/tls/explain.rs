//! Errors of rustls in words: which certificate, and why.

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use std::time::{SystemTime, UNIX_EPOCH};

/// What rustls says when `names::ByName` has no certificate for a client.
const NO_IDENTITY: &str = "no server certificate chain resolved";

/// What happened.
pub(crate) fn text(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => alert_text(*alert),
        Error::NoCertificatesPresented => "the peer presented no certificate, and one is demanded".into(),
        Error::InvalidMessage(_) => "the peer does not speak TLS".into(),
        Error::PeerIncompatible(
            PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "the peer does not speak TLS 1.3".into(),
        Error::General(text) if text == NO_IDENTITY => {
            "this side has no certificate for the name that the client asks for".into()
        }
        Error::InconsistentKeys(_) => "the private key does not belong to the certificate".into(),
        error => error.to_string(),
    }
}

fn certificate(error: &CertificateError) -> String {
    let text = match error {
        CertificateError::Expired => "it has expired".into(),
        CertificateError::ExpiredContext { time, not_after } => {
            let late = time.as_secs().saturating_sub(not_after.as_secs());
            format!("it expired on {} ({} ago)", date(not_after.as_secs()), span(late))
        }
        CertificateError::NotValidYet => "it is not valid yet".into(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {}; is the clock right?", date(not_before.as_secs()))
        }
        CertificateError::UnknownIssuer => "its issuer is not one of the trusted authorities".into(),
        CertificateError::NotValidForName => "it is for another name".into(),
        CertificateError::NotValidForNameContext { expected, .. } => {
            format!("it is not for the name \"{}\"", expected.to_str())
        }
        CertificateError::BadSignature => {
            "its signature is wrong (or another authority of the same name issued it)".into()
        }
        CertificateError::Revoked => "it was revoked".into(),
        CertificateError::BadEncoding => "it cannot be read".into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not meant for this side of a connection".into()
        }
        CertificateError::ApplicationVerificationFailure => "it was refused".into(),
        CertificateError::Other(other) => return other.to_string(),
        error => format!("{error:?}"),
    };
    format!("the peer's certificate is refused: {text}")
}

/// Why a certificate is refused, without saying whose it is.
pub(crate) fn reason(error: &Error) -> String {
    let text = text(error);
    text.strip_prefix("the peer's certificate is refused: ").map(str::to_owned).unwrap_or(text)
}

fn alert_text(alert: AlertDescription) -> String {
    let refused = match alert {
        AlertDescription::CertificateRequired => {
            return "the peer demands a certificate, and this side has none".into();
        }
        AlertDescription::CertificateExpired => "it has expired",
        AlertDescription::UnknownCA => "the peer does not know its issuer",
        AlertDescription::BadCertificate => "it is wrong",
        AlertDescription::CertificateRevoked => "it was revoked",
        AlertDescription::UnsupportedCertificate => "it is not meant for this",
        AlertDescription::CertificateUnknown => "the peer does not accept it",
        AlertDescription::NoApplicationProtocol => {
            return "the peer speaks none of the application protocols offered (ALPN)".into();
        }
        AlertDescription::AccessDenied | AlertDescription::UnrecognisedName => {
            return "the peer has no certificate for the name that it was asked for".into();
        }
        AlertDescription::ProtocolVersion => return "the peer does not speak TLS 1.3".into(),
        alert => return format!("the peer ended TLS with the alert {alert:?}"),
    };
    format!("the peer refused this side's certificate: {refused}")
}

/// What to do about it.
pub(crate) fn fix(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "give the peer a new certificate"
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "trust the authority that issued it (trust_file, --tls-ca)"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "connect by a name in the certificate, or set the name to expect (server_name, --tls-name)",
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "give this side a certificate of an authority that the peer trusts (identity, --tls-cert and --tls-key)"
        }
        Error::AlertReceived(AlertDescription::AccessDenied | AlertDescription::UnrecognisedName) => {
            "connect by a name that the server has, or set the name to ask for (server_name, --tls-name)"
        }
        Error::AlertReceived(_) => "see the peer's own error for the reason",
        Error::General(text) if text == NO_IDENTITY => {
            "give the listener an identity for all other names (identity)"
        }
        Error::InvalidMessage(_) => "use tcp: with a peer that has no TLS",
        _ => "check the certificates of both sides",
    }
}

/// Seconds since 1970 as a date.
fn date(seconds: u64) -> String {
    // Howard Hinnant's days-to-civil, for days from 1970 on.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn span(seconds: u64) -> String {
    match seconds {
        0..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Now, in seconds since 1970; for tests and certificates.
#[cfg_attr(not(feature = "dev-cert"), allow(dead_code))] // only certificates are dated
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
