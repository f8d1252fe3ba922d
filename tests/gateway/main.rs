//! The gateway's program, built with the demo, for the tests that need a process.

use std::process::ExitCode;

fn main() -> ExitCode {
    portcullis::cli::main()
}
