//! What the README has one type, typed against the proxy.

use std::process::Command;

use crate::stage::cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_s_lines_work_against_the_proxy() {
    let Some(cluster) = cluster().await else { return };
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let section = readme.split("## A first conversation").nth(1).unwrap().split("\n## ").next().unwrap();
    let address = |text: &str| text.replace("http://127.0.0.1:8080", &cluster.url());
    let blocks = section.split("```sh\n").skip(1).map(|block| address(block.split("```").next().unwrap()));
    // The stream goes on until it is ended.
    let mut blocks: Vec<_> = blocks.filter(|block| !block.contains("/stream")).collect();
    assert!(blocks[0].contains(&cluster.url()), "{blocks:?}");
    // Somebody who types is slower than views are to follow; a script isn't, and looks again. What it does, it does once.
    let reading = blocks.pop().unwrap();
    let reading = format!(
        "for look in $(seq 300); do\n{{\n{reading}\n}} > \"$out\"\n\
         if [ \"$(grep -o 'Hello, Bob! 你好' \"$out\" | wc -l)\" = 3 ]; then break; fi\nsleep 0.1\ndone\ncat \"$out\"\n"
    );
    let script = format!("out=$(mktemp)\n{}\n{reading}rm \"$out\"", blocks.concat());
    let output = Command::new("bash").arg("-c").arg(script).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("HTTP/1.1 201 Created"), "{said}");
    assert_eq!(said.matches("Hello, Bob! 你好").count(), 4, "said, listed, read and found: {said}");
    assert!(said.contains("\"highlights\""), "{said}");
}
