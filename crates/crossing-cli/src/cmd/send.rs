//! `crossing send`.

use super::names::Carrier;
use super::{queue, socket};
use crate::args::SendArgs;
use crate::exit::Outcome;

/// Sends by whatever carries the endpoint.
pub fn run(args: &SendArgs) -> Outcome {
    match Carrier::of(&args.endpoint)? {
        Carrier::Queue => queue::send(args),
        Carrier::Socket => socket::send(args),
    }
}
