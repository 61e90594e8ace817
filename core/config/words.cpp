#include "core/model/words.h"

#include "core/config/config.h"

namespace tend::config {

StringList split_words(std::string_view text) { return tend::split_words(text); }

}  // namespace tend::config
