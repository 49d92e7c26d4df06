//! `cargo xtask check-targets`: the workspace type-checks for every system that has a backend.
//!
//! A target whose standard library is missing gets one (`cross_std`).

use crate::cross_std;
use crate::run::{Counts, Run};
use std::path::Path;
use std::time::{Duration, Instant};

/// Which targets to check.
#[derive(Debug, Default, clap::Args)]
pub struct Selection {
    /// Check only this target (may be given several times)
    #[arg(long, value_name = "TARGET")]
    only: Vec<String>,
    /// List the targets
    #[arg(long)]
    list: bool,
}

struct Target {
    triple: &'static str,
    what: &'static str,
}

const TARGETS: [Target; 7] = [
    Target { triple: "x86_64-pc-windows-gnu", what: "Windows, its tests run under Wine: cargo xtask test" },
    Target { triple: "x86_64-pc-windows-msvc", what: "Windows with Microsoft's linker, type-checked only" },
    Target {
        triple: "i686-pc-windows-gnu",
        what: "32-bit Windows, type-checked only: the layouts are the same",
    },
    Target {
        triple: "i686-unknown-linux-gnu",
        what: "32-bit Linux, type-checked only: the layouts are the same",
    },
    Target { triple: "aarch64-unknown-linux-gnu", what: "Linux, its tests run under qemu: cargo xtask test" },
    Target { triple: "aarch64-apple-darwin", what: "macOS, type-checked only" },
    Target { triple: "x86_64-unknown-freebsd", what: "FreeBSD, type-checked only" },
];

/// What is checked, with the tests of each. The other packages are for Linux (benchmarks, crash and interop suites) or
/// run on the machine that builds (xtask).
const PACKAGES: [&str; 11] = [
    "crossing-sys",
    "crossing-sync",
    "crossing-wire",
    "crossing-shm",
    "crossing-ring",
    "crossing-queue",
    "crossing-bus",
    "crossing-net",
    "crossing",
    "crossing-cli",
    "crossing-testkit",
];

impl Selection {
    /// The targets it leaves, or the name that is no target.
    fn choose(&self) -> Result<Vec<&'static Target>, String> {
        if let Some(name) =
            self.only.iter().find(|name| !TARGETS.iter().any(|target| target.triple == **name))
        {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.triple).collect();
            return Err(format!("no target {name:?}; there are: {}", names.join(", ")));
        }
        let wanted = |triple: &str| self.only.is_empty() || self.only.iter().any(|only| only == triple);
        Ok(TARGETS.iter().filter(|target| wanted(target.triple)).collect())
    }
}

/// Checks the chosen targets, all of them even when one fails.
pub fn run(root: &Path, selection: &Selection) -> Result<(), String> {
    let targets = selection.choose()?;
    if selection.list {
        for target in targets {
            println!("{:26} {}", target.triple, target.what);
        }
        return Ok(());
    }
    let mut results = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        println!("\n==== {} ({} of {}): {}", target.triple, index + 1, targets.len(), target.what);
        let start = Instant::now();
        let outcome = cross_std::ensure(root, target.triple).and_then(|()| check(root, target.triple));
        if let Err(message) = &outcome {
            eprintln!("{}: {message}", target.triple);
        }
        results.push((target.triple, start.elapsed(), outcome.is_ok()));
    }
    println!();
    for &(triple, time, ok) in &results {
        println!("{}", line(triple, time, ok));
    }
    let failed: Vec<&str> = results.iter().filter(|(.., ok)| !ok).map(|&(triple, ..)| triple).collect();
    if failed.is_empty() { Ok(()) } else { Err(told(&failed)) }
}

/// One target's line of the summary.
fn line(triple: &str, time: Duration, ok: bool) -> String {
    format!("{triple:26} {:>8.1} s  {}", time.as_secs_f64(), if ok { "ok" } else { "FAILED" })
}

/// What failed, and how to repeat it.
fn told(failed: &[&str]) -> String {
    let again: String = failed.iter().map(|triple| format!(" --only {triple}")).collect();
    format!("{} of the targets failed; again alone: cargo xtask check-targets{again}", failed.len())
}

/// The arguments that check `triple`.
fn arguments(triple: &str) -> String {
    let packages: String = PACKAGES.iter().map(|package| format!(" -p {package}")).collect();
    // TLS needs a C compiler for each target.
    format!("check --target {triple} --no-default-features --lib --bins --tests{packages} --target-dir")
}

fn check(root: &Path, triple: &str) -> Result<(), String> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path));
    // A directory of its own: cargo locks it, and flags for one target must not rebuild another's.
    let run = Run::new(root, "cargo", &arguments(triple)).arg(target.join("targets"));
    run.env("RUSTFLAGS", "-D warnings").run(&mut Counts::default())
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
