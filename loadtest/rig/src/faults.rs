//! The faulty proxy.
