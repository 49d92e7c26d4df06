//! What the processes of the demo report, one JSON line per event on their standard output.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Who reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Process {
    /// Starts the exchange.
    Process1,
    /// Answers it, and survives the kill.
    Process2,
    /// Takes the lock and the loan, and is killed.
    Process3,
    /// The parent of all.
    Demo,
}

/// The mechanism that carried a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Through {
    /// A segment guarded by semaphores that live in it.
    SharedMemory,
    /// The local socket of this system, framed: a Unix domain socket or a named pipe.
    Socket,
    /// TCP on this machine, framed.
    TcpFramed,
    /// TCP on this machine, bytes as any program sends them.
    TcpRaw,
    /// Two POSIX message queues of the kernel.
    MessageQueue,
    /// Two queues of Crossing's own, in shared memory.
    SharedQueue,
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// From Process1 to Process2.
    Ping,
    /// Back, carrying the checksum of the ping.
    Pong,
}

/// One message, as both its ends name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// What carried it.
    pub through: Through,
    /// Which way it went.
    pub kind: Kind,
    /// Counts from 1 in each mechanism.
    pub seq: u32,
    /// Length in bytes.
    pub bytes: usize,
    /// Checksum of its content.
    pub checksum: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// The process has opened everything and waits.
    Ready,
    /// The process listens for the other one.
    Listening {
        /// By which mechanism.
        through: Through,
        /// Where.
        endpoint: String,
    },
    /// The process has a connection to the other one.
    Connected {
        /// By which mechanism.
        through: Through,
        /// Who the kernel says is at the other end: process and user, or an address.
        peer: String,
        /// The process at the other end, where the kernel tells.
        peer_pid: Option<u32>,
    },
    /// A message was handed to the mechanism.
    Sent(Message),
    /// A message was taken out, whole and unharmed.
    Received {
        /// Which.
        #[serde(flatten)]
        message: Message,
        /// From just before the send to just after the receive.
        latency_ns: u64,
    },
    /// A message did not arrive or arrived damaged, or something else went wrong.
    Failed {
        /// One line.
        text: String,
    },
    /// The exchange that was asked for is complete.
    ExchangeDone,
    /// Process3 holds the mutex and a loan.
    Holding {
        /// Chunks of the pool that are free now.
        free: usize,
    },
    /// Process2 is about to sleep on the mutex that Process3 holds.
    Waiting,
    /// The victim was killed, the hard way.
    Killed {
        /// The victim.
        victim: u32,
    },
    /// The kernel reports the victim gone.
    Dead {
        /// Since it was killed.
        after_ns: u64,
    },
    /// The survivor was given the mutex with the news that its owner died.
    Recovered,
    /// The dead process's chunk is back in the pool.
    Reclaimed {
        /// Chunks free before.
        before: usize,
        /// Chunks free after.
        after: usize,
    },
    /// The process has closed everything.
    Closed,
}

/// An event with its time and place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Machine-wide monotonic clock, nanoseconds.
    pub at_ns: u64,
    /// Who.
    pub process: Process,
    /// Its process id.
    pub pid: u32,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

impl Message {
    /// Who sent it and who receives it.
    pub fn ends(&self) -> (Process, Process) {
        match self.kind {
            Kind::Ping => (Process::Process1, Process::Process2),
            Kind::Pong => (Process::Process2, Process::Process1),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {} B", self.kind, self.seq, self.bytes)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Ping { "ping" } else { "pong" })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process1 => "Process1",
            Self::Process2 => "Process2",
            Self::Process3 => "Process3",
            Self::Demo => "demo",
        })
    }
}

impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SharedMemory => "SharedMemory",
            Self::Socket => "Socket",
            Self::TcpFramed => "TcpFramed",
            Self::TcpRaw => "TcpRaw",
            Self::MessageQueue => "MessageQueue",
            Self::SharedQueue => "SharedQueue",
        })
    }
}

impl Through {
    /// All of them, in the order in which the demo shows them.
    pub const ALL: [Self; 6] = [
        Self::SharedMemory,
        Self::Socket,
        Self::TcpFramed,
        Self::TcpRaw,
        Self::MessageQueue,
        Self::SharedQueue,
    ];
}

impl FromStr for Through {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|through| through.to_string() == text);
        found.ok_or_else(|| format!("no mechanism \"{text}\""))
    }
}
