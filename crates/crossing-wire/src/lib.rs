//! Sans-I/O protocol code: frame codec and handshake.
