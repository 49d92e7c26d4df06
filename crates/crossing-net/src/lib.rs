//! crossing-wire.
