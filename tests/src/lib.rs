//! throng-tests
