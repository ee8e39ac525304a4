//! Tests of adding networks.
