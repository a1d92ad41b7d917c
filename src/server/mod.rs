//! The standalone server.
