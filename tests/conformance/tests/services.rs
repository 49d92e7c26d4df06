//! Every behaviour of a service against every endpoint.

use crossing_conformance_tests::service::{self, Carrier, Place};
use crossing_testkit::{role, watchdog};
use std::time::Duration;

macro_rules! suite {
    ($($name:ident: $carrier:ident;)*) => { $(mod $name { behaviours!($carrier); })* };
}

macro_rules! behaviours {
    ($carrier:ident) => {
        behaviours! { $carrier:
            every_length values out_of_order many_threads cancelled deadlines limits failures server_gone killed_server
        }
    };
    ($carrier:ident: $($behaviour:ident)*) => {
        $(#[test]
        fn $behaviour() {
            super::run(super::Carrier::$carrier, super::service::$behaviour);
        })*
    };
}

suite! {
    shm: Shared;
    local: Local;
    tcp: Tcp;
}

fn run(carrier: Carrier, behaviour: fn(&Place)) {
    let _watchdog = watchdog(Duration::from_secs(180));
    behaviour(&Place::new(carrier));
}

#[test]
#[ignore = "a child process"]
fn role_child() {
    if let Some(role) = role("role_child") {
        service::child(&role);
    }
}
