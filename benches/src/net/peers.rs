//! Streams against ZeroMQ, nng and Boost.Asio: C++ programs (`zmq.cpp`, `nng.cpp`, `asio.cpp`) that do the same between two
//! threads over the same kind of socket, built here when the libraries are.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A library that does what streams do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    ZeroMq,
    Nng,
    Asio,
}

impl Library {
    pub const ALL: [Self; 3] = [Self::ZeroMq, Self::Nng, Self::Asio];

    pub fn name(self) -> &'static str {
        match self {
            Self::ZeroMq => "ZeroMQ",
            Self::Nng => "nng",
            Self::Asio => "Boost.Asio",
        }
    }

    /// The source, what to link with, and Debian's package.
    fn parts(self) -> (&'static str, Option<&'static str>, &'static str) {
        match self {
            Self::ZeroMq => ("zmq", Some("-lzmq"), "libzmq3-dev"),
            Self::Nng => ("nng", Some("-lnng"), "libnng-dev"),
            Self::Asio => ("asio", None, "libboost-dev"),
        }
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Round trips.
    Trips,
    /// One way, as fast as it goes.
    Flow,
}

/// The programs that could be built.
#[derive(Debug)]
pub struct Peers {
    directory: PathBuf,
    built: Vec<Library>,
}

impl Peers {
    pub fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("crossing-bench-peers-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("a directory of our own");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/net");
        let mut built = Vec::new();
        for library in Library::ALL {
            let (stem, link, package) = library.parts();
            let done = Command::new("c++")
                .args(["-std=c++17", "-O2", "-pthread", "-o"])
                .arg(directory.join(stem))
                .arg(sources.join(stem).with_extension("cpp"))
                .args(link)
                .stderr(Stdio::null())
                .status();
            match done.is_ok_and(|status| status.success()) {
                true => built.push(library),
                false => eprintln!(
                    "note: no {} here (Debian: {package} and g++); its rows are left out",
                    library.name()
                ),
            }
        }
        Self { directory, built }
    }

    pub fn built(&self) -> &[Library] {
        &self.built
    }

    /// Seconds for one of `count` operations.
    pub fn run(&self, library: Library, tcp: bool, shape: Shape, len: usize, count: u32) -> f64 {
        let (stem, ..) = library.parts();
        let socket = self.directory.join("socket");
        let _ = std::fs::remove_file(&socket);
        let address = match tcp {
            // Nobody else takes it in between, on a machine that measures.
            true => {
                let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
                free.expect("a free port").port().to_string()
            }
            false => socket.to_str().expect("a path in text").to_owned(),
        };
        let output = Command::new(self.directory.join(stem))
            .arg(if tcp { "tcp" } else { "unix" })
            .arg(address)
            .arg(match shape {
                Shape::Trips => "trips",
                Shape::Flow => "flow",
            })
            .args([len.to_string(), count.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .expect("run the peer");
        assert!(output.status.success(), "{}: {}", library.name(), output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().unwrap_or_else(|error| panic!("{} says {text:?}: {error}", library.name()))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
