//! Has the binary built anew when a file of the web client comes or goes: the compiler only knows of those that it took in.

fn main() {
    for folder in ["../web/index.html", "../web/app", "../web/vendor", "../clients/typescript/src"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
