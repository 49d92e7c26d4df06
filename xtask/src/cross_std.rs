//! A standard library for a target that the toolchain came without.

use crate::run::{Counts, Run};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the compiling of a standard library must not inherit from the build that asks for it.
const BUILD_VARIABLES: [&str; 5] =
    ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"];
/// Debian's suites that may hold the toolchain's version of rust-src.
const SUITES: [&str; 5] = ["bookworm-backports", "trixie", "trixie-backports", "forky", "sid"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Gives the toolchain in use a standard library for `target`, unless it has one: by rustup, or else built from Debian's
/// `rust-src` of the same version (one or two minutes).
///
/// # Errors
/// What was tried and failed, with the command to run by hand.
pub fn ensure(root: &Path, target: &str) -> Result<(), String> {
    let sysroot = PathBuf::from(output("rustc", &["--print", "sysroot"])?);
    if has_std(&sysroot, target) {
        return Ok(());
    }
    let mut none = Counts::default();
    let by_rustup = Run::new(root, "rustup", &format!("target add {target}")).run(&mut none);
    if by_rustup.is_ok() && has_std(&sysroot, target) {
        return Ok(());
    }
    println!("rustup has no standard library for {target}: building it from Debian's rust-src");
    build(root, &sysroot, target).map_err(|error| {
        format!(
            "no standard library for {target}: by rustup: {}; from Debian's rust-src: {error}; \
             install it: rustup target add {target}",
            by_rustup.err().unwrap_or_else(|| "installed into another toolchain".to_owned())
        )
    })
}

fn library(sysroot: &Path, target: &str) -> PathBuf {
    sysroot.join("lib/rustlib").join(target).join("lib")
}

fn has_std(sysroot: &Path, target: &str) -> bool {
    let Ok(entries) = fs::read_dir(library(sysroot, target)) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("libstd-") && name.to_string_lossy().ends_with(".rlib")
    })
}

fn build(root: &Path, sysroot: &Path, target: &str) -> Result<(), String> {
    let version = output("rustc", &["--version"])?;
    let version = version.split(' ').nth(1).ok_or("rustc does not tell its version")?;
    let state = cache()?.join("cross-std");
    let source = sysroot.join("lib/rustlib/src/rust");
    if !source.join("library/std/Cargo.toml").exists() {
        fetch(root, &state, version)?;
        let unpacked = state.join(format!("unpacked/usr/src/rustc-{version}"));
        create(&sysroot.join("lib/rustlib/src"))?;
        let linked = Command::new("ln").arg("-sfn").arg(&unpacked).arg(&source).status();
        if !linked.is_ok_and(|status| status.success()) {
            return Err(format!("cannot link {} to {}", source.display(), unpacked.display()));
        }
    }
    // An empty crate: building it builds the standard library below it.
    let bake = state.join(format!("bake-{version}"));
    create(&bake.join("src"))?;
    write(&bake.join("src/lib.rs"), "")?;
    let manifest = "[package]\nname = \"bake\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n";
    write(&bake.join("Cargo.toml"), manifest)?;
    let crates = "-Zbuild-std=std,panic_abort,panic_unwind,test,proc_macro";
    let mut run = Run::new(&bake, "cargo", &format!("build --quiet --release {crates} --target {target}"));
    for name in BUILD_VARIABLES {
        run = run.without(name);
    }
    run.env("RUSTC_BOOTSTRAP", "1").run(&mut Counts::default())?;
    install(&bake.join("target").join(target).join("release/deps"), &library(sysroot, target))
}

/// Copies the libraries; the standard library itself last, since its presence says that all is there.
fn install(built: &Path, library: &Path) -> Result<(), String> {
    create(library)?;
    let entries = fs::read_dir(built).map_err(|error| format!("{}: {error}", built.display()))?;
    let wanted = |name: &OsString| {
        let text = name.to_string_lossy();
        (text.ends_with(".rlib") || text.ends_with(".rmeta")) && !text.starts_with("libbake-")
    };
    let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).filter(wanted).collect();
    names.sort_by_key(|name| name.to_string_lossy().starts_with("libstd-"));
    for name in names {
        let to = library.join(&name);
        fs::copy(built.join(&name), &to).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(())
}

/// Unpacks Debian's `rust-src` of `version` below `state`, with lists and a cache of its own: the machine's own package
/// sources are neither used nor changed.
fn fetch(root: &Path, state: &Path, version: &str) -> Result<(), String> {
    for directory in ["lists/partial", "archives/partial", "unpacked"] {
        create(&state.join(directory))?;
    }
    let sources = state.join("sources.list");
    let lines: String = SUITES
        .iter()
        .map(|suite| format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n"))
        .collect();
    write(&sources, &lines)?;
    let at = |path: &str| state.join(path).display().to_string();
    let options = [
        format!("Dir::State::Lists={}", at("lists")),
        format!("Dir::Etc::sourcelist={}", sources.display()),
        "Dir::Etc::sourceparts=-".to_owned(),
        format!("Dir::Cache={}", state.display()),
        format!("Dir::Cache::archives={}", at("archives")),
        "APT::Sandbox::User=root".to_owned(),
    ];
    let with = |run: Run| options.iter().fold(run, |run, option| run.arg("-o").arg(option));
    let mut none = Counts::default();
    // A suite that is gone is not an error while another has the version.
    let updated = with(Run::new(root, "apt-get", "--quiet update")).run(&mut none);
    let mut madison = Command::new("apt-cache");
    for option in &options {
        madison.arg("-o").arg(option);
    }
    let listed = madison.args(["madison", "rust-src"]).output();
    let listed = listed.map_err(|error| format!("cannot run apt-cache: {error}"))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let exact = exact_version(&listed, version)
        .ok_or_else(|| format!("Debian has no rust-src of version {version} ({updated:?})"))?;
    with(Run::new(&state.join("archives"), "apt-get", "--quiet"))
        .arg("download")
        .arg(format!("rust-src={exact}"))
        .run(&mut none)?;
    let archives = fs::read_dir(state.join("archives"));
    let archives = archives.map_err(|error| format!("the downloaded package: {error}"))?;
    let named = format!("rust-src_{version}");
    let package = archives.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(&named));
    let package = package.ok_or("apt-get downloaded no package")?;
    Run::new(root, "dpkg", "-x").arg(package.path()).arg(state.join("unpacked")).run(&mut none)
}

/// The whole version (`1.95.0+dfsg1-1`) of the first line of `apt-cache madison` whose upstream version is `version`.
fn exact_version<'a>(listed: &'a str, version: &str) -> Option<&'a str> {
    let mut versions = listed.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
    versions.find(|exact| {
        let rest = exact.strip_prefix(version);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
    })
}

/// `$XDG_CACHE_HOME` or `~/.cache`.
fn cache() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("XDG_CACHE_HOME") {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    Ok(PathBuf::from(home).join(".cache"))
}

fn output(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!("{} from {program} {}", output.status, args.join(" ")))
    }
}

fn create(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[path = "cross_std_tests.rs"]
mod tests;
