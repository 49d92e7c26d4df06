//! crossing-sys.
