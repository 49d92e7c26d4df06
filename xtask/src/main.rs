//! The tasks of this workspace: `cargo xtask tidy|test|check-targets|bench|loom|crash`.

#![forbid(unsafe_code)]

mod aarch64;
mod cross_std;
mod i686;
mod run;
mod source;
mod steps;
mod targets;
mod tidy;
mod windows;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Tasks of the Crossing workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check what the compiler cannot: floors, unsafe, pages, formats, pairs of orderings
    Tidy,
    /// Run every check and every test; stops at the first step that fails
    Test(steps::Selection),
    /// Type-check for every system that has a backend, installing what is missing
    CheckTargets(targets::Selection),
    /// Measure: everything after `bench` goes to the benchmark program
    Bench {
        /// Arguments of the benchmark program, such as `lock`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Model-check the primitives only
    Loom,
    /// Run the crash suite only
    Crash,
}

fn main() -> ExitCode {
    let root = root();
    let done = match Cli::parse().task {
        Task::Tidy => tidy::run(&root),
        Task::Test(selection) => steps::run(&root, &selection),
        Task::CheckTargets(selection) => targets::run(&root, &selection),
        Task::Bench { args } => steps::bench(&root, &args),
        Task::Loom => steps::run(&root, &steps::Selection::only("loom")),
        Task::Crash => steps::run(&root, &steps::Selection::only("crash")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace: above this package.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().unwrap_or_else(|| Path::new(".")).to_owned()
}
