//! Builds the tests for Linux on aarch64 and runs them under qemu.

use crate::cross_std;
use crate::run::{Counts, Run, Runner};
use std::path::Path;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const COMPILER: &str = "aarch64-linux-gnu-gcc";
const QEMU: &str = "qemu-aarch64-static";
/// Where Debian puts the C library of the target.
const LIBRARY: &str = "/usr/aarch64-linux-gnu";
/// Debian's packages with all of these.
const DEBIAN: &str = "qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross";
/// What runs under qemu.
const PACKAGES: [&str; 9] = [
    "crossing-wire",
    "crossing-sys",
    "crossing-testkit",
    "crossing-sync",
    "crossing-shm",
    "crossing-net",
    "crossing-ring",
    "crossing-queue",
    "crossing-bus",
];

/// Builds and runs the tests of [`PACKAGES`] for aarch64, adding them to `counts`.
///
/// # Errors
/// What is missing on this machine with the command that installs it, or what failed.
pub fn test(root: &Path, counts: &mut Counts) -> Result<(), String> {
    tools(root)?;
    cross_std::ensure(root, TARGET)?;
    let packages: String = PACKAGES.iter().map(|package| format!(" -p {package}")).collect();
    let run = Run::new(root, "cargo", &format!("test --no-fail-fast --tests --target {TARGET}{packages}"))
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", COMPILER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", QEMU)
        // For the tests that start themselves again as a child.
        .env("CROSSING_TEST_RUNNER", QEMU)
        .env("QEMU_LD_PREFIX", LIBRARY);
    run.counting(Runner::Libtest).run(counts)
}

/// Finds qemu, the compiler and the C library, installs them on a CI machine, or names what to do.
fn tools(root: &Path) -> Result<(), String> {
    let mut missing: Vec<&str> =
        [COMPILER, QEMU].into_iter().filter(|tool| !crate::steps::answers(tool, &["--version"])).collect();
    if !Path::new(LIBRARY).join("lib/libc.so.6").exists() {
        missing.push("the C library of aarch64");
    }
    if missing.is_empty() {
        return Ok(());
    }
    crate::steps::install(root, DEBIAN).map_err(|fix| {
        format!("missing: {}: the tests for aarch64 are run by qemu; {fix}", missing.join(", "))
    })
}
