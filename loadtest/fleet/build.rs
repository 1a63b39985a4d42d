//! Compiles `fleet.proto` with a compiler written in Rust, so that no tool has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(["fleet.proto"], [root])?;
    tonic_prost_build::compile_fds(descriptors)?;
    Ok(())
}
