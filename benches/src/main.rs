//! Crossing against its peers: both sides interleaved in one run, medians of ratios. `cargo xtask bench lock`.

mod contended;
mod net;
mod pthread;
mod queue;
mod table;
mod topic;
mod uncontended;

use clap::Parser;

/// Which comparison to run.
#[derive(Debug, Parser)]
enum Bench {
    /// Locks: uncontended against parking_lot, std and pthread; contended by processes against pthread.
    Lock {
        /// Interleaved rounds of each measurement.
        #[arg(long, default_value_t = 15)]
        rounds: usize,
    },
    /// Sockets: streams, sessions, services and TLS against bare reads and writes, bare tokio and rustls,
    /// ZeroMQ, nng, Boost.Asio, tonic, Cap'n Proto and iceoryx2.
    Net {
        /// Interleaved rounds of each measurement.
        #[arg(long, default_value_t = 9)]
        rounds: usize,
        /// Only the rows whose description contains this.
        #[arg(long)]
        only: Option<String>,
    },
    /// Queues: ours against POSIX message queues and Boost.Interprocess.
    Queue {
        /// Interleaved rounds of each measurement.
        #[arg(long, default_value_t = 9)]
        rounds: usize,
        /// Only the rows whose description contains this.
        #[arg(long)]
        only: Option<String>,
    },
    /// Topics: ours against raw memory, iceoryx2 and Aeron.
    Topic {
        /// Interleaved rounds of each measurement.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Only the rows whose description contains this.
        #[arg(long)]
        only: Option<String>,
    },
    /// One process of a topic's measurement (started by this program).
    #[command(hide = true)]
    TopicWorker(topic::Worker),
    /// One process of a service's measurement (started by this program).
    #[command(hide = true)]
    ServiceWorker(net::services::Worker),
    /// One process of an echo server's measurement (started by this program).
    #[command(hide = true)]
    EchoWorker(net::echo::Worker),
    /// One process of a queue's measurement (started by this program).
    #[command(hide = true)]
    QueueWorker(queue::Worker),
    /// One process of a contended round (started by this program).
    #[command(hide = true)]
    Worker {
        /// `crossing` or `pthread`.
        kind: String,
        /// The directory with the segment.
        directory: std::path::PathBuf,
        /// How long to work.
        milliseconds: u64,
    },
}

fn main() {
    match Bench::parse() {
        Bench::Worker { kind, directory, milliseconds } => contended::work(&kind, &directory, milliseconds),
        Bench::QueueWorker(worker) => queue::work(&worker),
        Bench::ServiceWorker(worker) => net::services::work(&worker),
        Bench::EchoWorker(worker) => net::echo::work(&worker),
        Bench::TopicWorker(worker) => topic::work(&worker),
        Bench::Topic { rounds, only } => table::print(&topic::rows(rounds, only.as_deref())),
        Bench::Net { rounds, only } => table::print(&net::rows(rounds, only.as_deref())),
        Bench::Queue { rounds, only } => table::print(&queue::rows(rounds, only.as_deref())),
        Bench::Lock { rounds } => {
            let mut rows = uncontended::rows(rounds);
            rows.extend(contended::rows(rounds));
            table::print(&rows);
        }
    }
}
