//! The `crossing` command: shared memory, synchronisation, sockets and message queues from the shell.
#![forbid(unsafe_code)]

mod args;
mod cmd;
mod demo;
mod exit;
mod net_args;
mod output;
mod units;

use args::{Cli, Command, ShmCommand};
use clap::Parser;
use exit::Outcome;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !failure.message.is_empty() {
                // Standard error may be closed: the exit code still tells.
                let _ = writeln!(std::io::stderr(), "crossing: {}", failure.message);
            }
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::DemoRole(args) => demo::role(&args),
        Command::Shm(ShmCommand::Create(args)) => cmd::shm::create(&args),
        Command::Shm(ShmCommand::Write(args)) => cmd::shm::write(&args),
        Command::Shm(ShmCommand::Read(args)) => cmd::shm::read(&args),
        Command::Shm(ShmCommand::Ls(args)) | Command::Ls(args) => cmd::registry::ls(&args),
        Command::Shm(ShmCommand::Inspect(args)) | Command::Inspect(args) => cmd::inspect::run(&args),
        Command::Shm(ShmCommand::Rm(args)) | Command::Rm(args) => cmd::registry::rm(&args),
        Command::Send(args) => cmd::send::run(&args),
        Command::Recv(args) => cmd::recv::run(&args),
        Command::Pub(args) => cmd::r#pub::run(&args),
        Command::Sub(args) => cmd::sub::run(&args),
        Command::Call(args) => cmd::call::run(&args),
        Command::Serve(args) => cmd::serve::run(&args),
        Command::Proxy(args) => cmd::proxy::run(&args),
        #[cfg(feature = "tls")]
        Command::Tls(command) => cmd::tls::run(&command),
        Command::Queue(command) => cmd::queue::run(command),
        Command::Sync(command) => cmd::sync::run(command),
    }
}
