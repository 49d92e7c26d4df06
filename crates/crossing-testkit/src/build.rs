//! Programs that a test needs and builds itself: C++ sources and the `crossing` binary.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const FLAGS: [&str; 4] = ["-std=c++17", "-O1", "-Wall", "-pthread"];

/// Compiles one C++ source with `g++` (or `$CXX`) into the target directory and returns the program. Compiled again
/// only when the source changed.
///
/// # Panics
/// If the compiler is missing (the message names the package) or refuses the source (with its messages).
#[must_use]
pub fn cpp(source: impl AsRef<Path>) -> PathBuf {
    let source = source.as_ref();
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    let text = fs::read(source).unwrap_or_else(|error| panic!("cannot read {}: {error}", source.display()));
    let mut hasher = DefaultHasher::new();
    (&text, FLAGS, &compiler).hash(&mut hasher);
    let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let directory = profile_directory().join("cpp");
    fs::create_dir_all(&directory).expect("create the directory of the C++ programs");
    let program = directory.join(format!("{stem}-{:016x}", hasher.finish()));
    if program.exists() {
        return program;
    }
    // Several tests may compile the same source at once: each writes its own file, the last rename wins.
    let partial = directory.join(crate::unique_name(&stem));
    let output = Command::new(&compiler).args(FLAGS).arg(source).arg("-o").arg(&partial).arg("-lrt").output();
    match output {
        Ok(output) => assert!(
            output.status.success(),
            "{compiler} refuses {}:\n{}",
            source.display(),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("cannot run {compiler}: {error}; install it: apt-get install g++"),
    }
    fs::rename(&partial, &program).expect("put the C++ program in place");
    program
}

/// The `crossing` binary: `$CROSSING_BIN` if set, else built by cargo with the profile of this test, once per process.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn crossing() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            if let Some(path) = std::env::var_os("CROSSING_BIN") {
                return PathBuf::from(path);
            }
            let profile = profile_directory();
            let target = profile.parent().expect("the profile's directory is in the target directory");
            let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo.args(["build", "--quiet", "--package", "crossing-cli", "--target-dir"]).arg(target);
            if profile.ends_with("release") {
                cargo.arg("--release");
            }
            let output = cargo.current_dir(workspace()).output().expect("run cargo");
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "crossing-cli does not build:\n{errors}");
            profile.join(format!("crossing{}", std::env::consts::EXE_SUFFIX))
        })
        .clone()
}

/// The root of the workspace.
///
/// # Panics
/// If this crate moved.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/crossing-testkit is two below the root").to_owned()
}

/// `target/debug` or `target/release`, from where this test runs (`target/debug/deps/NAME-HASH`).
fn profile_directory() -> PathBuf {
    let binary = std::env::current_exe().expect("path of the test binary");
    let mut directory = binary.parent().expect("directory of the test binary").to_owned();
    if directory.ends_with("deps") || directory.ends_with("examples") {
        directory.pop();
    }
    directory
}
