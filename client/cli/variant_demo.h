// demo --variant: what one variant does.
#ifndef DROPOUTD_CLIENT_CLI_VARIANT_DEMO_H_
#define DROPOUTD_CLIENT_CLI_VARIANT_DEMO_H_

#include <string>

#include "client/cli/context.h"

namespace dropout::cli {

// Prints the scene of the variant called `name`, as JSON or for people; with `ascii` drawn without
// blocks also where the terminal has them. Throws CallError.
void DemoVariant(Context& context, const std::string& name, bool ascii);

}  // namespace dropout::cli

#endif  // DROPOUTD_CLIENT_CLI_VARIANT_DEMO_H_
