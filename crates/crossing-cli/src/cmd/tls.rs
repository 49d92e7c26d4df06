//! `crossing tls dev-cert`: certificates for development.

use crate::args::{DevCertArgs, TlsCommand};
use crate::exit::{Exit, Outcome};
use crate::output::write_line;
use crossing::net::DevAuthority;
use std::time::Duration;

/// Runs a subcommand.
pub fn run(command: &TlsCommand) -> Outcome {
    match command {
        TlsCommand::DevCert(args) => dev_cert(args),
    }
}

fn dev_cert(args: &DevCertArgs) -> Outcome {
    let names: Vec<&str> = match &args.name[..] {
        [] => vec!["localhost", "127.0.0.1", "::1"],
        names => names.iter().map(String::as_str).collect(),
    };
    let valid = Duration::from_secs(u64::from(args.days) * 86_400);
    let authority = DevAuthority::new("Crossing development authority")?;
    let server = authority.issue(&names, valid)?;
    let client = authority.issue(&["client"], valid)?;
    authority.write(&args.directory, &[("server", &server), ("client", &client)])?;
    let directory = args.directory.display();
    write_line(&format!(
        "{directory}: ca.pem, server.pem and .key for {}, client.pem and .key",
        names.join(", ")
    ))?;
    write_line(&format!(
        "crossing recv tls:localhost:7000 --listen --tls-cert {directory}/server.pem --tls-key {directory}/server.key"
    ))?;
    write_line(&format!("crossing send tls:localhost:7000 hello --tls-ca {directory}/ca.pem"))?;
    Ok(Exit::Success)
}
