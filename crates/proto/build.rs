//! Compiles the `.proto` files with a compiler written in Rust, so that no tool has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let files = ["delivery.proto", "session.proto", "router.proto", "cluster.proto", "events.proto"];
    let descriptors = protox::compile(files, [root])?;
    tonic_prost_build::configure()
        .bytes(".")
        // Frames are moved about by the batch: the large and frequent ones by their address.
        .boxed(".session.v1.EdgeFrame.kind.item")
        .boxed(".session.v1.EdgeFrame.kind.attach")
        .boxed(".session.v1.OwnerFrame.kind.deliver")
        .boxed(".session.v1.OwnerFrame.kind.resumed")
        .boxed(".router.v1.Frame.kind.item")
        .compile_fds(descriptors)?;
    Ok(())
}
