//! Builds the tests for Windows and runs them under Wine.

use crate::cross_std;
use crate::run::{Counts, Run, Runner};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "x86_64-pc-windows-gnu";
const COMPILER: &str = "x86_64-w64-mingw32-gcc";
/// Debian's packages with Wine and the compiler.
const DEBIAN: &str = "wine wine64 gcc-mingw-w64-x86-64";
/// What runs under Wine.
const PACKAGES: [&str; 13] = [
    "crossing-wire",
    "crossing-sys",
    "crossing-testkit",
    "crossing-sync",
    "crossing-shm",
    "crossing-net",
    "crossing-ring",
    "crossing-queue",
    "crossing-bus",
    "crossing-conformance-tests",
    "crossing",
    "crossing-interop-windows-tests",
    "crossing-cli",
];
/// Wine 8 (Debian 12) has no bcryptprimitives.dll, from which Rust's standard library takes its random bytes.
const RANDOM_DLL: &str = "bcryptprimitives.dll";
const RANDOM_SOURCE: &str = r"#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
  while (count) {
    ULONG part = count > 0x10000000 ? 0x10000000 : (ULONG)count;
    if (!SystemFunction036(bytes, part)) return FALSE;
    bytes += part;
    count -= part;
  }
  return TRUE;
}
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved) { return TRUE; }
";

/// Builds and runs the tests of [`PACKAGES`] and the crash suite for Windows, adding them to `counts`.
///
/// # Errors
/// What is missing on this machine with the command that installs it, or what failed.
pub fn test(root: &Path, target_directory: &Path, counts: &mut Counts) -> Result<(), String> {
    tools(root)?;
    cross_std::ensure(root, TARGET)?;
    let wine = Wine::start(&target_directory.join("wine"))?;
    wine.random_bytes()?;
    let packages: String = PACKAGES.iter().map(|package| format!(" -p {package}")).collect();
    let run = Run::new(root, "cargo", &format!("test --no-fail-fast --tests --target {TARGET}{packages}"));
    under_wine(run, &wine).counting(Runner::Libtest).run(counts)?;
    let crash = format!("test --release -p crossing-crash-tests --target {TARGET} --target-dir");
    let crash = Run::new(root, "cargo", &crash).arg(target_directory.join("crash"));
    crate::steps::quick(under_wine(crash, &wine)).counting(Runner::Libtest).run(counts)
}

/// Built by MinGW, run by `wine`.
fn under_wine(run: Run, wine: &Wine) -> Run {
    run.env("WINEPREFIX", &wine.prefix)
        .env("WINEDEBUG", "-all")
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", COMPILER)
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "wine")
}

/// Finds Wine and MinGW, installs them on a CI machine, or names what to do.
fn tools(root: &Path) -> Result<(), String> {
    let missing: Vec<&str> =
        [COMPILER, "wine"].into_iter().filter(|tool| !crate::steps::answers(tool, &["--version"])).collect();
    if missing.is_empty() {
        return Ok(());
    }
    crate::steps::install(root, DEBIAN).map_err(|fix| {
        format!(
            "{} missing: the Windows tests are built by MinGW and run by Wine; {fix}",
            missing.join(" and ")
        )
    })
}

/// A Wine of these tests alone: its own prefix, with a server that runs until this is dropped.
struct Wine {
    prefix: PathBuf,
}

impl Wine {
    fn start(prefix: &Path) -> Result<Self, String> {
        let wine = Self { prefix: prefix.to_owned() };
        fs::create_dir_all(prefix).map_err(|error| format!("{}: {error}", prefix.display()))?;
        // The programs that Wine leaves running must not hold this program's pipes: everything here is quiet.
        wine.quiet("wine", &["wineboot", "--init"])?;
        // Stays between the test programs, each of which would start it again.
        let _ = wine.quiet("wineserver", &["--persistent"]);
        Ok(wine)
    }

    /// Puts the stand-in for [`RANDOM_DLL`] where this Wine has none.
    fn random_bytes(&self) -> Result<(), String> {
        let dll = self.prefix.join("drive_c/windows/system32").join(RANDOM_DLL);
        if dll.exists() {
            return Ok(());
        }
        let source = self.prefix.join("random.c");
        fs::write(&source, RANDOM_SOURCE).map_err(|error| format!("{}: {error}", source.display()))?;
        let partial = dll.with_extension("partial");
        Run::new(&self.prefix, COMPILER, "-shared -O1 -o")
            .arg(&partial)
            .arg(&source)
            .arg("-ladvapi32")
            .run(&mut Counts::default())?;
        fs::rename(&partial, &dll).map_err(|error| format!("{}: {error}", dll.display()))
    }

    fn quiet(&self, program: &str, args: &[&str]) -> Result<(), String> {
        let mut command = Command::new(program);
        command.args(args).env("WINEPREFIX", &self.prefix).env("WINEDEBUG", "-all");
        // No display, no questions for Mono and Gecko, which no test needs.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml=").env_remove("DISPLAY");
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let status = status.map_err(|error| format!("cannot run {program}: {error}"))?;
        let text = format!("{program} {}", args.join(" "));
        if status.success() { Ok(()) } else { Err(format!("{status} from {text}")) }
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        // Only this prefix's server and what it runs.
        let _ = self.quiet("wineserver", &["--kill"]);
    }
}
