// A session in use: the version that readers see, and its steps.
#include "server/session/session.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/engine/manual_clock.h"
#include "tests/session/session_examples.h"

namespace dropoutd {
namespace {

using IfPresent = Session::IfPresent;

constexpr Nanoseconds kTtl = std::chrono::minutes(10);

class SessionTest : public testing::Test {
 protected:
  explicit SessionTest(Holding holding = Holding::kOriginals) : budgets_(Limits(), holding) {}

  // With layers a, b and c.
  SharedImage MakeImage() {
    return NewSession(
               MakeSpec("s", 1, {MakeLayer("a", 0.5), MakeLayer("b", 0.5), MakeLayer("c", 0.5)}),
               kTtl, clock_.WallNow(), rules_)
        .value();
  }

  std::shared_ptr<Session> MakeSession() {
    return std::make_shared<Session>("s", MakeVersion(MakeImage(), Token::Random()), budgets_,
                                     clock_.Now());
  }

  void DeleteLayer(Session& session, const std::string& layer_id) {
    const SharedImage image = session.version()->image;
    session.Show(MakeVersion(WithoutLayer(image, layer_id).value(), Token::Random()));
  }

  StepRecord NewRecord(double p = 0.5) {
    StepRecord record;
    record.config = std::make_shared<const LayerConfig>(MakeLayer("a", p));
    record.rate = DropRate(p);
    return record;
  }

  absl::Status Commit(Session& session, LayerBook& book, double p = 0.5,
                      IfPresent if_present = IfPresent::kReplace) {
    return session.Commit(book, key_, NewRecord(p), MakeBits(100), nullptr, if_present);
  }

  void ExpectNothingHeld() {
    EXPECT_EQ(budgets_.masks().bytes(), 0u);
    EXPECT_EQ(budgets_.steps().held(), 0u);
  }

  ManualClock clock_;
  Budgets budgets_;
  const TenantBudgetRef tenant_ = budgets_.Open("");
  const ChangeRules rules_{budgets_, *tenant_, 10};
  const std::shared_ptr<Session> session_ = MakeSession();
  const StepKey key_{7, 0, 0};
  const LayerSnapshot layer_ = session_->Snapshot("a", key_).value();
};

TEST_F(SessionTest, ExpiryMovesWithRenewal) {
  const SteadyTime made = clock_.Now();
  EXPECT_EQ(session_->expire_time(), made + kTtl);
  clock_.Advance(std::chrono::minutes(3));
  EXPECT_EQ(session_->expire_time(), made + kTtl);
  session_->Renew(clock_.Now());
  EXPECT_EQ(session_->expire_time(), made + kTtl + std::chrono::minutes(3));
}

// What a store was once told holds: nothing that is learnt later makes it less.
TEST_F(SessionTest, WhatTheStoreKeepsOnlyGrows) {
  const SteadyTime now = clock_.Now();
  session_->ExtendStoredUntil(now + std::chrono::minutes(2));
  session_->ExtendStoredUntil(now + std::chrono::minutes(1));
  EXPECT_EQ(session_->stored_until(), now + std::chrono::minutes(2));
}

// --- Versions -----------------------------------------------------------------------------------

TEST_F(SessionTest, ReadersSeeTheVersionThatWasShownLast) {
  const SharedVersion before = session_->version();
  const SharedVersion next =
      MakeVersion(WithUpdate(before->image, MakeLayer("a", 0.25), rules_).value(), Token::Random());
  EXPECT_EQ(session_->version(), before);  // It is not shown yet.
  EXPECT_EQ(session_->Snapshot("a", std::nullopt)->config()->p, 0.5);
  session_->Show(next);
  EXPECT_EQ(session_->version(), next);
  EXPECT_EQ(session_->Snapshot("a", std::nullopt)->config()->p, 0.25);
  // Who holds the one before still has it.
  EXPECT_EQ(session_->Snapshot(before, "a", std::nullopt)->config()->p, 0.5);
}

// An answer that comes late hides nothing that came after it was asked for.
TEST_F(SessionTest, ALateAnswerHidesNothing) {
  const SharedVersion first = session_->version();
  const SharedVersion second = MakeVersion(first->image, Token::Random());
  const SharedVersion late = MakeVersion(first->image, Token::Random());
  session_->ShowAfter(first, second);
  EXPECT_EQ(session_->version(), second);
  session_->ShowAfter(first, late);
  EXPECT_EQ(session_->version(), second);
}

TEST_F(SessionTest, OfADeletedLayerThereIsNothing) {
  DeleteLayer(*session_, "a");
  EXPECT_EQ(ReasonText(session_->Snapshot("a", std::nullopt)), "LAYER_NOT_FOUND");
  EXPECT_EQ(ReasonText(session_->Snapshot("b", std::nullopt)), "OK");
}

// --- Steps --------------------------------------------------------------------------------------

TEST_F(SessionTest, ASnapshotHasTheStepsRecord) {
  EXPECT_EQ(layer_.record, nullptr);
  ASSERT_TRUE(Commit(*session_, *layer_.book, 0.25).ok());
  const LayerSnapshot now = session_->Snapshot("a", key_).value();
  ASSERT_NE(now.record, nullptr);
  EXPECT_EQ(now.record->rate.p, 0.25);
  EXPECT_NE(now.record->mask.Get(), nullptr);
  EXPECT_EQ(session_->Snapshot("a", StepKey{7, 1, 0})->record, nullptr);
  EXPECT_EQ(session_->Snapshot("b", key_)->record, nullptr);
  EXPECT_EQ(session_->Snapshot("a", std::nullopt)->record, nullptr);
}

TEST_F(SessionTest, KeepLeavesARecordThatIsThere) {
  LayerBook& book = *layer_.book;
  ASSERT_TRUE(Commit(*session_, book, 0.25, IfPresent::kKeep).ok());
  ASSERT_TRUE(Commit(*session_, book, 0.75, IfPresent::kKeep).ok());
  EXPECT_EQ(session_->Snapshot("a", key_)->record->rate.p, 0.25);
  ASSERT_TRUE(Commit(*session_, book, 0.75, IfPresent::kReplace).ok());
  EXPECT_EQ(session_->Snapshot("a", key_)->record->rate.p, 0.75);
}

TEST_F(SessionTest, NothingIsCommittedToALayerThatWent) {
  DeleteLayer(*session_, "a");
  for (const IfPresent if_present : {IfPresent::kKeep, IfPresent::kReplace}) {
    EXPECT_EQ(ReasonText(Commit(*session_, *layer_.book, 0.5, if_present)), "LAYER_NOT_FOUND");
  }
  ExpectNothingHeld();
}

TEST_F(SessionTest, NorWhereItsNameWasTakenByAnother) {
  DeleteLayer(*session_, "a");
  session_->Show(
      MakeVersion(WithLayer(session_->version()->image, MakeLayer("a", 0.5), rules_).value()));
  EXPECT_EQ(ReasonText(Commit(*session_, *layer_.book)), "LAYER_NOT_FOUND");
  EXPECT_EQ(session_->Snapshot("a", key_)->record, nullptr);
  ExpectNothingHeld();
}

// Who began with an older version has a book of its own, whose records nobody finds.
TEST_F(SessionTest, ALayerOfAnOlderVersionHasNoSteps) {
  const SharedVersion older = session_->version();
  ASSERT_TRUE(Commit(*session_, *layer_.book).ok());
  DeleteLayer(*session_, "a");
  const auto late = session_->Snapshot(older, "a", key_);
  ASSERT_TRUE(late.ok());
  EXPECT_EQ(late->record, nullptr);
  EXPECT_EQ(ReasonText(Commit(*session_, *late->book)), "LAYER_NOT_FOUND");
  ExpectNothingHeld();
}

TEST_F(SessionTest, ADeletedLayerLeavesTheCacheThoughACallHoldsIt) {
  ASSERT_TRUE(Commit(*session_, *layer_.book).ok());
  EXPECT_GT(budgets_.masks().bytes(), 0u);
  const LayerSnapshot held = session_->Snapshot("a", key_).value();
  DeleteLayer(*session_, "a");
  EXPECT_EQ(budgets_.steps().held(), 0u);
}

TEST_F(SessionTest, AReplacedRecordsMaskIsNotFoundForTheNewOne) {
  ASSERT_TRUE(Commit(*session_, *layer_.book).ok());
  const SharedRecord first = session_->Snapshot("a", key_)->record;
  ASSERT_TRUE(
      session_->Commit(*layer_.book, key_, NewRecord(), nullptr, nullptr, IfPresent::kReplace)
          .ok());
  // A call in flight made the first one's mask again.
  first->mask.Put(MakeBits(100));
  EXPECT_EQ(session_->Snapshot("a", key_)->record->mask.Get(), nullptr);
}

TEST_F(SessionTest, ASessionThatGoesLeavesNothing) {
  auto session = MakeSession();
  {
    const LayerSnapshot held = session->Snapshot("a", key_).value();
    ASSERT_TRUE(Commit(*session, *held.book).ok());
    session.reset();
  }
  ExpectNothingHeld();
}

TEST_F(SessionTest, ReleasesTheStepsOfOneLayerOrOfAll) {
  for (const char* const id : {"a", "b", "c"}) {
    const LayerSnapshot layer = session_->Snapshot(id, std::nullopt).value();
    for (std::uint64_t step = 0; step < 5; ++step) {
      ASSERT_TRUE(session_
                      ->Commit(*layer.book, {step, 0, 0}, NewRecord(), MakeBits(10), nullptr,
                               IfPresent::kReplace)
                      .ok());
    }
  }
  const std::uint64_t b = session_->version()->image->layers.at("b")->uid;
  EXPECT_EQ(session_->ReleaseThrough(b, 1), 2u);
  EXPECT_EQ(session_->ReleaseThrough(b, 1), 0u);
  EXPECT_EQ(session_->ReleaseThrough(std::nullopt, 2), 3u + 1u + 3u);
  EXPECT_EQ(budgets_.steps().held(), 6u);
  EXPECT_EQ(session_->ReleaseThrough(std::nullopt, 9), 6u);
  ExpectNothingHeld();
}

// Steps that are being released are gone for readers, though their records may be here yet.
TEST_F(SessionTest, AReleasedStepHasNoRecord) {
  ASSERT_TRUE(Commit(*session_, *layer_.book).ok());
  const SharedImage image = session_->version()->image;
  for (const std::uint64_t through : {key_.step - 1, key_.step}) {
    auto layer = std::make_shared<LayerImage>(*image->layers.at("a"));
    layer->releasing = through;
    auto next = std::make_shared<SessionImage>(*image);
    next->layers["a"] = layer;
    session_->Show(MakeVersion(next, Token::Random()));
    EXPECT_EQ(session_->Snapshot("a", key_)->record == nullptr, through == key_.step);
  }
}

// An update of what a layer is keyed by leaves the steps before it where they are.
TEST_F(SessionTest, AStepIsFoundWhereItsForwardHasPutIt) {
  LayerConfig by_sequence = MakeLayer("v", 0.5);
  by_sequence.options = VariationalOptions();
  SharedImage image = WithLayer(session_->version()->image, by_sequence, rules_).value();
  session_->Show(MakeVersion(image));
  const StepKey asked{7, 0, 11};
  const LayerSnapshot before = session_->Snapshot("v", asked).value();
  EXPECT_EQ(before.key->sequence_id, 11u);
  StepRecord record = NewRecord();
  record.config = before.config();
  ASSERT_TRUE(session_
                  ->Commit(*before.book, *before.key, std::move(record), nullptr, nullptr,
                           IfPresent::kReplace)
                  .ok());
  image = WithUpdate(image, MakeLayer("v", 0.5), rules_).value();
  session_->Show(MakeVersion(image));
  const LayerSnapshot after = session_->Snapshot("v", asked).value();
  EXPECT_EQ(after.key->sequence_id, 0u);  // Of a record that is written now.
  ASSERT_NE(after.record, nullptr);
  EXPECT_EQ(after.record_key.sequence_id, 11u);
  EXPECT_EQ(session_->Snapshot("v", StepKey{7, 0, 12})->record, nullptr);
}

// --- Copies of what a store has -----------------------------------------------------------------

class SessionCopyTest : public SessionTest {
 protected:
  SessionCopyTest() : SessionTest(Holding::kCopies) {}
};

// A store has the bits: here they are cached, and no reservation can be refused.
TEST_F(SessionCopyTest, PinnedMasksAreButCached) {
  StepRecord record = NewRecord();
  record.pinned = MakeBits(100);
  ASSERT_TRUE(
      session_->Commit(*layer_.book, key_, std::move(record), nullptr, nullptr, IfPresent::kReplace)
          .ok());
  const SharedRecord here = session_->Snapshot("a", key_)->record;
  EXPECT_EQ(here->pinned, nullptr);
  ASSERT_NE(here->mask.Get(), nullptr);
  EXPECT_EQ(here->mask.Get()->byte_size(), 100u);
  EXPECT_EQ(budgets_.masks().reserved(), 0u);
}

}  // namespace
}  // namespace dropoutd
