import tend from './index.js';

export default tend;
export const custom = tend.custom;
