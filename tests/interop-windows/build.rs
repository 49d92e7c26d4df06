//! Compiles the C programs for Windows here, where the compiler is: the tests run under Wine, where none is.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=c");
    println!("cargo::rerun-if-env-changed=CROSSING_WINDOWS_CC");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") != "windows" {
        return;
    }
    let architecture = match variable("CARGO_CFG_TARGET_ARCH") {
        short if short == "x86" => "i686".to_owned(),
        same => same,
    };
    let compiler = match variable("CROSSING_WINDOWS_CC") {
        none if none.is_empty() => format!("{architecture}-w64-mingw32-gcc"),
        given => given,
    };
    let program = PathBuf::from(variable("OUT_DIR")).join("kernel_objects.exe");
    let mut command = Command::new(&compiler);
    command.args(["-municode", "-O1", "-Wall", "-Werror", "c/kernel_objects.c", "-o"]).arg(&program);
    match command.status() {
        Ok(status) => assert!(status.success(), "{compiler} refuses c/kernel_objects.c"),
        // A type-check needs no program; the tests say what is missing.
        Err(error) => println!(
            "cargo::warning=cannot run {compiler}: {error}; install it: apt-get install gcc-mingw-w64"
        ),
    }
    println!("cargo::rustc-env=CROSSING_KERNEL_OBJECTS={}", program.display());
}
