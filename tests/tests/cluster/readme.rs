//! What the README has one type, typed against the proxy.

use std::process::Command;

use crate::stage::cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_s_lines_work_against_the_proxy() {
    let Some(cluster) = cluster().await else { return };
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let section = readme.split("## A first conversation").nth(1).unwrap().split("\n## ").next().unwrap();
    let lines: String = section
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        // The stream goes on until it is ended.
        .filter(|block| !block.contains("/stream"))
        .collect();
    assert!(lines.contains("http://127.0.0.1:8080"), "{lines}");
    let script = format!("set -e\n{}", lines.replace("http://127.0.0.1:8080", &cluster.url()));
    let output = Command::new("bash").arg("-c").arg(script).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("HTTP/1.1 201 Created"), "{said}");
    assert_eq!(said.matches("Hello, Bob! 你好").count(), 4, "said, listed, read and found: {said}");
    assert!(said.contains("\"highlights\""), "{said}");
}
