//! The references in docs/ that are made from the code.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use node::config::Settings;

use crate::options::SECTIONS;

const CONFIGURATION: &str = "\
<!-- Made by `make docs` from services/server/src/options.rs. -->
# Configuration
One TOML file; `throng config --default` prints it with everything commented out, `throng config` what is in effect and
where each value comes from, and `throng check` says whether it can be used. Without `--config` it is `throng.toml` in
the folder where the command is started, else `/etc/throng/throng.toml`; the variable `THRONG_CONFIG` names another.

A variable `THRONG_SECTION_KEY` goes before the file: `THRONG_LOG_LEVEL=debug` is `level` of `[log]`. Lists may be given
there without quotes and brackets, as `a,b`. An empty text is an option unset.
";

/// Every option with its default, commented out.
pub(crate) fn default_file() -> String {
    Settings::new(SECTIONS).default_file()
}

/// Writes the references, or with `check` fails if one is not what would be written.
pub(crate) fn generate(check: bool) -> anyhow::Result<ExitCode> {
    let references = [
        ("docs/configuration.md", format!("{CONFIGURATION}{}", Settings::new(SECTIONS).reference())),
        ("docs/xeps.md", features::references::xeps()),
        ("docs/doap.xml", features::references::doap()),
    ];
    for (path, text) in references {
        if check {
            let found = fs::read_to_string(path)
                .with_context(|| format!("{path} cannot be read; run this in the repository"))?;
            if found != text {
                bail!("{path} is stale: `make docs` writes it");
            }
        } else if Path::new("docs").is_dir() {
            fs::write(path, text).with_context(|| format!("{path} cannot be written"))?;
        } else {
            bail!("there is no folder docs here: run this in the repository");
        }
    }
    Ok(ExitCode::SUCCESS)
}
