#include "util/registry.h"

#include <gmock/gmock.h>

namespace trainyard {
namespace {

struct Kind {
  static constexpr const char* name = "thing";
};
using Things = Registry<Kind, int()>;

void add(const std::string& name) {
  const Things::Registration registered(name, "a thing", [] { return 3; }, "a.cpp");
}

TEST(Registry, MakesWhatIsRegistered) {
  add("one_2-B");
  EXPECT_EQ(Things::make("one_2-B"), 3);
}

TEST(RegistryDeathTest, NameThatIsRegisteredTwiceEndsTheProgram) {
  EXPECT_DEATH((add("again"), add("again")), "thing 'again' is registered twice: in a.cpp and in a.cpp; rename one");
}

// It becomes part of settings' keys and of a folder's name.
TEST(RegistryDeathTest, NameWithOtherCharactersEndsTheProgram) {
  for (const char* name : {"", "my net", "my/net", "my.net", "../net", "n\xc3\xa4he"}) {
    EXPECT_DEATH(add(name), "in a.cpp needs a name of letters, digits, _ and -") << name;
  }
}

}  // namespace
}  // namespace trainyard
