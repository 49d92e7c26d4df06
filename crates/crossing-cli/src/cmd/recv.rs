//! `crossing recv`.

use super::names::Carrier;
use super::{queue, socket};
use crate::args::RecvArgs;
use crate::exit::Outcome;

/// Receives by whatever carries the endpoint.
pub fn run(args: &RecvArgs) -> Outcome {
    match Carrier::of(&args.endpoint)? {
        Carrier::Queue => queue::recv(args),
        Carrier::Socket => socket::recv(args),
    }
}
