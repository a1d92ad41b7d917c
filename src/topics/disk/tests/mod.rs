//! Tests of topics on a disk that they own.
