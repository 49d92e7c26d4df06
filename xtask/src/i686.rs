//! Builds the tests of the floors that lay out memory for 32-bit Linux, runs them on this machine's processor, and lets a
//! process of 32 bits share a segment with one of 64.

use crate::cross_std;
use crate::run::{Counts, Run, Runner};
use std::path::Path;
use std::process::Command;

const TARGET: &str = "i686-unknown-linux-gnu";
const COMPILER: &str = "i686-linux-gnu-gcc";
/// Debian's packages with the compiler and a C library to link in: gcc-multilib would displace other cross-compilers.
const DEBIAN: &str = "gcc-i686-linux-gnu libc6-dev-i386-cross";
/// What lays out shared memory.
const PACKAGES: [&str; 6] =
    ["crossing-sys", "crossing-sync", "crossing-shm", "crossing-ring", "crossing-queue", "crossing-bus"];
/// The test that needs both builds.
const SHARED: &str = "processes_of_32_and_64_bits_share_a_segment";

/// Runs everything, adding it to `counts`.
///
/// # Errors
/// What is missing on this machine with the command that installs it, or what failed.
pub fn test(root: &Path, counts: &mut Counts) -> Result<(), String> {
    if !crate::steps::answers(COMPILER, &["--version"]) {
        crate::steps::install(root, DEBIAN)
            .map_err(|fix| format!("missing: {COMPILER}, for the tests of 32 bits; {fix}"))?;
    }
    cross_std::ensure(root, TARGET)?;
    let packages: String = PACKAGES.iter().map(|package| format!(" -p {package}")).collect();
    let run = Run::new(root, "cargo", &format!("test --no-fail-fast --tests --target {TARGET}{packages}"));
    for_target(run).counting(Runner::Libtest).run(counts)?;
    let other = binary(root)?;
    Run::new(
        root,
        "cargo",
        &format!("test -p crossing-crash-tests --test bits -- --ignored --nocapture {SHARED}"),
    )
    .env("CROSSING_TEST_OTHER_BITS", &other)
    .counting(Runner::Libtest)
    .run(counts)
}

/// With the C library linked in: nothing of 32 bits needs to be installed to run it.
const ENVIRONMENT: [(&str, &str); 2] = [
    ("CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER", COMPILER),
    ("CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static"),
];

fn for_target(run: Run) -> Run {
    ENVIRONMENT.iter().fold(run, |run, (name, value)| run.env(name, value))
}

/// The test binary of 32 bits that plays the other one.
fn binary(root: &Path) -> Result<String, String> {
    let output = Command::new("cargo")
        .args(["test", "--no-run", "--message-format=json", "-p", "crossing-crash-tests", "--test", "bits"])
        .args(["--target", TARGET])
        .envs(ENVIRONMENT)
        .current_dir(root)
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    // One artifact is an executable: the test.
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.split("\"executable\":\"").nth(1).and_then(|rest| rest.split('"').next());
    found.map(str::to_owned).ok_or_else(|| format!("no test binary for {TARGET}: {}", output.status))
}
