//! What folding and indexing a message cost: `cargo run --release -p parlor-text --example cost`.

use std::hint::black_box;
use std::time::Instant;

use parlor_text::{fold, index_tokens};

const ROUNDS: u32 = 20_000;

fn main() {
    let samples = [
        ("English", "Could you send me the notes from yesterday's meeting before lunch, please? Tx!!"),
        ("German", "Könntest du mir bitte die Notizen vom gestrigen Treffen vor dem Mittag schicken?"),
        ("Vietnamese", "Bạn có thể gửi cho tôi các ghi chú của cuộc họp hôm qua trước bữa trưa được không"),
        (
            "Chinese",
            "你能在午饭前把昨天会议的记录发给我吗，我今天下午要用它来准备下周的演讲稿，谢谢你的帮助，如果你没有时间也没关系，我可以去问别人，祝你今天工作顺利，晚上见，再见",
        ),
        (
            "Korean",
            "점심 먹기 전에 어제 회의록을 보내 주실 수 있나요? 오늘 오후에 다음 주 발표를 준비하는 데 쓰려고 합니다. 도와주셔서 감사합니다. 좋은 하루",
        ),
        ("Hindi", "क्या आप मुझे दोपहर के खाने से पहले कल की बैठक के नोट्स भेज सकते हैं? बहुत धन्यवाद जी"),
        ("Arabic", "هل يمكنك أن ترسل لي ملاحظات اجتماع الأمس قبل الغداء من فضلك؟ شكرا جزيلا لك يا صديقي"),
    ];
    println!("{:<12}{:>8}{:>12}{:>14}{:>10}", "", "chars", "fold µs", "+ tokens µs", "tokens");
    for (language, text) in samples {
        let folding = microseconds(|| fold(black_box(text)).len());
        let both = microseconds(|| index_tokens(&fold(black_box(text))).len());
        let tokens = index_tokens(&fold(text));
        println!("{language:<12}{:>8}{folding:>12.2}{both:>14.2}{:>10}", text.chars().count(), tokens.len());
    }
}

/// The mean of many rounds.
fn microseconds(mut work: impl FnMut() -> usize) -> f64 {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(work());
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
}
