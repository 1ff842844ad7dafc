#include "tests/simulation/scheduler.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "server/base/random_id.h"
#include "server/base/slow_mutex.h"

namespace dropoutd {
namespace {

// More turns than these without an end of waiting are a run without an end.
constexpr std::uint64_t kMostTurns = 2'000'000;

constexpr std::size_t kStackBytes = std::size_t{1} << 20;

Scheduler *the_scheduler = nullptr;
thread_local bool is_simulated = false;  // In Run.

}  // namespace

Scheduler::Scheduler(std::uint64_t seed) : random_(seed), server_random_(~seed) {
  the_scheduler = this;
  SlowMutex::SetYield(ContendFromMutex);
  SetRandomSource(DrawForServer);
}

Scheduler::~Scheduler() {
  SetRandomSource(nullptr);
  SlowMutex::SetYield(nullptr);
  the_scheduler = nullptr;
}

void Scheduler::ContendFromMutex() {
  if (is_simulated) {
    the_scheduler->Switch(State::kContending);
  } else {
    std::this_thread::yield();
  }
}

std::uint64_t Scheduler::DrawForServer() { return the_scheduler->server_random_.Next(); }

void Scheduler::Spawn(std::string name, std::function<void()> body) {
  threads_.push_back(std::make_unique<Thread>());
  Thread &made = *threads_.back();
  made.name = std::move(name);
  made.body = std::move(body);
  made.stack = std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
  getcontext(&made.context);
  made.context.uc_stack.ss_sp = made.stack.get();
  made.context.uc_stack.ss_size = kStackBytes;
  makecontext(&made.context, Enter, 0);
}

// Never returns: there is nothing below it on its stack.
void Scheduler::Enter() {
  Scheduler &self = *the_scheduler;
  Thread &thread = *self.threads_[self.current_];
  thread.body();
  thread.body = nullptr;
  thread.state = State::kDone;
  self.MakeReady();
  setcontext(self.Choose() ? &self.threads_[self.current_]->context : &self.caller_);
}

void Scheduler::At(Time time, std::function<void()> event) {
  events_.emplace(std::max(time, now_), std::move(event));
}

void Scheduler::Run() {
  is_simulated = true;
  if (!threads_.empty() && Choose()) swapcontext(&caller_, &threads_[current_]->context);
  is_simulated = false;
  threads_.clear();
  events_.clear();
}

void Scheduler::Yield() { Switch(State::kReady); }

void Scheduler::Sleep(Time duration) { Block(now_ + duration); }

bool Scheduler::Block(Time until) {
  Thread &self = *threads_[current_];
  self.until = until;
  self.is_woken = false;
  Switch(State::kBlocked);
  return self.is_woken;
}

void Scheduler::Wake(ThreadId thread) {
  Thread &other = *threads_[thread];
  if (other.state != State::kBlocked) return;
  other.state = State::kReady;
  other.is_woken = true;
}

void Scheduler::Switch(State state) {
  Thread &self = *threads_[current_];
  self.state = state;
  const ThreadId id = current_;
  // Who could not have its mutex tries again after anyone else has got further.
  if (state != State::kContending) MakeReady();
  if (!Choose()) Stuck("nothing can run");
  if (current_ != id) swapcontext(&self.context, &threads_[current_]->context);
}

void Scheduler::MakeReady() {
  for (const auto &each : threads_) {
    if (each->state == State::kContending) each->state = State::kReady;
  }
}

bool Scheduler::Choose() {
  std::vector<ThreadId> ready;
  while (true) {
    RunEvents();
    WakeSleepers();
    for (ThreadId i = 0; i < threads_.size(); ++i) {
      if (threads_[i]->state == State::kReady) ready.push_back(i);
    }
    if (!ready.empty()) break;
    const bool all_done = std::all_of(threads_.begin(), threads_.end(),
                                      [](const auto &each) { return each->state == State::kDone; });
    if (all_done) return false;
    if (!Advance()) Stuck("a deadlock");
  }
  current_ = ready[random_.Below(ready.size())];
  ++turns_;
  if (++turns_at_this_time_ > kMostTurns) Stuck("no end");
  return true;
}

bool Scheduler::RunEvents() {
  bool any = false;
  while (!events_.empty() && events_.begin()->first <= now_) {
    const std::function<void()> event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    event();
    any = true;
  }
  return any;
}

void Scheduler::WakeSleepers() {
  for (const auto &each : threads_) {
    if (each->state == State::kBlocked && each->until <= now_) each->state = State::kReady;
  }
}

bool Scheduler::Advance() {
  Time next = Time::max();
  if (!events_.empty()) next = events_.begin()->first;
  for (const auto &each : threads_) {
    if (each->state == State::kBlocked) next = std::min(next, each->until);
  }
  if (next == Time::max()) return false;
  now_ = std::max(now_, next);
  turns_at_this_time_ = 0;
  return true;
}

void Scheduler::Stuck(const char *why) {
  std::cerr << "simulation: " << why << " at " << now_.count() << " ns\n";
  constexpr const char *kStates[] = {"ready", "contends", "waits", "done"};
  for (const auto &each : threads_) {
    std::cerr << "  " << each->name << ": " << kStates[static_cast<int>(each->state)] << "\n";
  }
  if (on_stuck_) on_stuck_();
  std::cerr.flush();
  std::_Exit(1);
}

}  // namespace dropoutd
