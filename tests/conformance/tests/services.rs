//! Every behaviour of a service against every endpoint.

use crossing_conformance_tests::service::{self, Carrier, Place};
use crossing_conformance_tests::{service_parts, service_several};
use crossing_testkit::{role, watchdog};
use std::time::Duration;

macro_rules! suite {
    ($($name:ident: $carrier:ident;)*) => { $(mod $name { behaviours!($carrier); })* };
}

macro_rules! behaviours {
    ($carrier:ident) => {
        behaviours! { $carrier service:
            every_length values out_of_order many_threads cancelled deadlines limits failures server_gone killed_server
            loans clones
        }
        behaviours! { $carrier service_parts:
            parts values_in_parts bounded others_go_on cancelled_parts parts_in_time failed_parts streams_in_turn
            killed_client
        }
        behaviours! { $carrier service_several:
            several_servers killed_one_of_several none_of_several
        }
    };
    ($carrier:ident $module:ident: $($behaviour:ident)*) => {
        $(#[test]
        fn $behaviour() {
            super::run(super::Carrier::$carrier, super::$module::$behaviour);
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
