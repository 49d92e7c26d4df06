//! Every behaviour of a queue against every endpoint.

use crossing_conformance_tests::queue::{self, Carrier, Place};
use crossing_testkit::{role, watchdog};
use std::time::Duration;

macro_rules! suite {
    ($($name:ident: $carrier:ident;)*) => { $(mod $name { behaviours!($carrier); })* };
}

macro_rules! behaviours {
    ($carrier:ident) => {
        behaviours! { $carrier:
            order one_receiver_each priorities capacity overflow_fail overflow_drop_oldest waiting lengths batches
            acknowledgement expiry_and_delay properties values loans dead_letters looking_and_purging names polling two_processes
            a_killed_receiver
        }
    };
    ($carrier:ident: $($behaviour:ident)*) => {
        $(#[test]
        fn $behaviour() {
            super::run(super::Carrier::$carrier, super::queue::$behaviour);
        })*
    };
}

suite! {
    shm: Shared;
    mq: Posix;
    sysv: SystemV;
    sysv_with_priorities: SystemVRanked;
}

fn run(carrier: Carrier, behaviour: fn(&Place)) {
    let _watchdog = watchdog(Duration::from_secs(180));
    if let Some(place) = Place::new(carrier) {
        behaviour(&place);
    }
}

#[test]
#[ignore = "a child process"]
fn role_child() {
    if let Some(role) = role("role_child") {
        queue::child(&role);
    }
}
